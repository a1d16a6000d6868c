#![allow(missing_docs)]
//! stub
use newcol_core::{
    db::Session,
    ident::{Ident, TableName},
};
#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub struct RowsError;
#[derive(Debug, Clone)]
pub struct Rows;
#[derive(Debug, Clone)]
pub struct ColumnValues;
impl ColumnValues {
    pub fn literal(&self, _n: u64) -> Result<String, RowsError> {
        Err(RowsError)
    }
}
impl Rows {
    pub fn of(_: &mut Session, _: &TableName) -> Result<Self, RowsError> {
        Err(RowsError)
    }
    pub fn columns(&self) -> &[Ident] {
        &[]
    }
    pub fn key(&self) -> &[Ident] {
        &[]
    }
    pub fn literals(&self, _n: u64) -> Result<Vec<String>, RowsError> {
        Err(RowsError)
    }
    pub fn changed(&self, _n: u64, _r: u64) -> Result<Vec<String>, RowsError> {
        Err(RowsError)
    }
    pub fn prepare(&self, _: &mut Session, _n: u64) -> Result<(), RowsError> {
        Err(RowsError)
    }
    pub fn without(self, _: &Ident) -> Self {
        self
    }
    pub fn column_values(
        _: &mut Session,
        _: &str,
        _: Option<(&TableName, &Ident)>,
    ) -> Result<ColumnValues, RowsError> {
        Err(RowsError)
    }
}
