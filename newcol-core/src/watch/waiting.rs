//! Who waits for whom on PostgreSQL: for locks, for builds, and replicas for what was written.

use super::{
    session::{Fields, Reading},
    snapshot::{Measure, parts, push},
};
use crate::db::DbError;

impl Reading<'_> {
    /// Reads who waits: for a lock on the table, for others to build an index, and who keeps rows from
    /// being cleaned up. Of sessions that the role may not see, nothing.
    pub(super) fn waits_for(
        &mut self,
        oid: &str,
        measures: &mut Vec<Measure>,
    ) -> Result<(), DbError> {
        let rows = self.rows(&format!(
            "SELECT (SELECT extract(epoch FROM max(clock_timestamp() - a.query_start)) \
             FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
             WHERE NOT l.granted AND l.locktype IN ('relation', 'tuple') AND l.relation IN ({parts})), \
             (SELECT max(b.current_locker_pid) FROM pg_catalog.pg_stat_progress_create_index b \
             WHERE b.relid IN ({parts}) AND b.phase LIKE 'waiting%' AND b.current_locker_pid > 0), \
             (SELECT extract(epoch FROM max(clock_timestamp() - a.xact_start)) \
             FROM pg_catalog.pg_stat_activity a WHERE a.backend_xmin IS NOT NULL \
             AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend')",
            parts = parts(oid)
        ))?;
        let mut fields = Fields::of(rows);
        for name in ["lock_wait_s", "build_waits_for", "oldest_snapshot_s"] {
            push(measures, "", name, fields.maybe_number());
        }
        Ok(())
    }

    /// Reads how far replicas are behind, as far as the role may see them.
    pub(super) fn replication(&mut self, measures: &mut Vec<Measure>) -> Result<(), DbError> {
        let rows = self.rows(
            "SELECT (SELECT extract(epoch FROM max(replay_lag)) FROM pg_catalog.pg_stat_replication), \
             (SELECT count(*) FROM pg_catalog.pg_replication_slots WHERE wal_status <> 'reserved')",
        )?;
        let mut fields = Fields::of(rows);
        for name in ["replica_lag_s", "slots_not_reserved"] {
            push(measures, "", name, fields.maybe_number());
        }
        Ok(())
    }
}
