//! Where servers come from, in the order of preference.

use std::sync::Arc;

#[cfg(all(unix, feature = "docker"))]
use super::docker;
#[cfg(unix)]
use super::local;
use super::{
    error::{ScratchError, Tried},
    server::{Server, given},
    want::Want,
};
use crate::settings;

/// A source of servers; each is asked after the one before it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Provider {
    /// The server that the user gives by its URL.
    Given,
    /// A server of ours from programs on this machine.
    Local,
    /// A server of ours in a container.
    Docker,
}

impl Provider {
    const ALL: [Self; 3] = [Self::Given, Self::Local, Self::Docker];

    fn name(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Local => "local",
            Self::Docker => "docker",
        }
    }

    /// Returns the providers to ask: all, or the one that `NEWCOL_TEST_PROVIDER` names.
    pub(super) fn chosen() -> Result<Vec<Self>, ScratchError> {
        let Some(name) = settings::provider() else { return Ok(Self::ALL.to_vec()) };
        match Self::ALL.into_iter().find(|provider| provider.name() == name) {
            Some(provider) => Ok(vec![provider]),
            None => {
                let known = Self::ALL.map(Self::name).to_vec();
                Err(ScratchError::Provider { name, known })
            }
        }
    }

    /// Returns a server that satisfies a wish; notes what does not serve.
    pub(super) fn find(
        self,
        want: Want,
        tried: &mut Vec<Tried>,
    ) -> Result<Option<Arc<Server>>, ScratchError> {
        match self {
            Self::Given => given(want, tried),
            #[cfg(unix)]
            Self::Local => local::find(want, tried),
            #[cfg(not(unix))]
            Self::Local => Ok(not_here(self, tried, "not started on this system")),
            #[cfg(all(unix, feature = "docker"))]
            Self::Docker => docker::find(want, tried),
            #[cfg(not(all(unix, feature = "docker")))]
            Self::Docker => Ok(not_here(self, tried, "newcol-testkit's feature `docker` is off")),
        }
    }
}

#[cfg(not(all(unix, feature = "docker")))]
fn not_here(provider: Provider, tried: &mut Vec<Tried>, why: &str) -> Option<Arc<Server>> {
    tried.push(super::server::tried_at(provider.name(), why));
    None
}
