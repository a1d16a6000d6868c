//! `watch serve`.

use std::{net::SocketAddr, time::Duration};

use clap::Args;
use newcol_core::watch::metrics::{Exposed, Seen, Shown, text};
use serde::Serialize;
use tiny_http::{Header, Method, Request, Response, Server};

use super::{
    Look as LookArgs, file,
    looking::{Glance, Look, Looking},
    take::Source,
};
use crate::{
    context::{Context, Project},
    error::{CliError, Exit},
    interrupt,
    output::Output,
    verbs::when,
};

/// How long nobody asks whether it is over.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    look: LookArgs,
    /// Where `/metrics` is answered: an address and a port, 0 for any that is free
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9879")]
    prometheus: SocketAddr,
    /// Take a snapshot this often
    #[arg(long, value_name = "TIME", value_parser = when::duration, default_value = "60s")]
    every: Duration,
}

#[derive(Debug, Serialize)]
struct ServingJson<'a> {
    column: &'a str,
    address: String,
}

/// What is known by now.
#[derive(Default)]
struct State {
    glance: Option<Box<Glance>>,
    is_up: bool,
    snapshots: (u64, u64),
    shown: Shown,
}

pub(super) fn run(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    args: &ServeArgs,
) -> Result<Exit, CliError> {
    let column = &args.look.asked.of.column;
    let path = file(project, column)?;
    let source = Source::of(ctx, project, &args.look)?;
    interrupt::install();
    let failed = |error: &dyn std::fmt::Display| {
        CliError::failed(format!("could not listen on {}: {error}", args.prometheus))
            .at("--prometheus")
    };
    let server = Server::http(args.prometheus).map_err(|error| failed(&error))?;
    let address = server.server_addr().to_string();
    let looking = Looking::begin(source, (path, column.clone()), args.every, None)
        .map_err(|error| failed(&error))?;
    let column = column.to_string();
    out.json("newcol-watch-serving", &ServingJson { column: &column, address: address.clone() });
    out.say(&format!("serving {column} on http://{address}/metrics until Ctrl-C"));
    let mut state = State::default();
    while !interrupt::requested() {
        while let Ok(look) = looking.looks.try_recv() {
            state.take(out, look);
        }
        match server.recv_timeout(PAUSE) {
            // Who does not wait for the answer has no claim to it.
            Ok(Some(request)) => drop(answer(request, &column, &mut state)),
            Ok(None) => {}
            Err(error) => return Err(failed(&error)),
        }
    }
    looking.end();
    out.status("ended");
    Ok(Exit::Done)
}

impl State {
    fn take(&mut self, out: &mut Output, look: Look) {
        match look {
            Look::Taken(glance) => {
                if self.snapshots.1 > 0 && !self.is_up {
                    out.status("the database answers again");
                }
                self.is_up = true;
                self.snapshots.0 += 1;
                self.glance = Some(glance);
            }
            Look::Failed(why) => {
                if self.is_up || self.snapshots == (0, 0) {
                    out.warn(&format!("no snapshot: {why}"));
                }
                self.is_up = false;
                self.snapshots.1 += 1;
            }
        }
    }

    fn page(&mut self, column: &str) -> String {
        let seen = self.glance.as_ref().map(|glance| Seen {
            history: &glance.history,
            report: &glance.report,
            verdict: Some(glance.judgement.verdict.word()),
            alerts: &glance.alerts,
        });
        let exposed = Exposed { column, is_up: self.is_up, snapshots: self.snapshots, seen };
        text(&exposed, &mut self.shown)
    }
}

fn answer(request: Request, column: &str, state: &mut State) -> std::io::Result<()> {
    let path = request.url().split('?').next().unwrap_or_default();
    let (status, kind, body) = match (request.method(), path) {
        (Method::Get | Method::Head, "/metrics") => {
            (200, "text/plain; version=0.0.4; charset=utf-8", state.page(column))
        }
        (Method::Get | Method::Head, "/") => {
            (200, "text/plain; charset=utf-8", format!("{column} is watched: see /metrics\n"))
        }
        (Method::Get | Method::Head, _) => {
            (404, "text/plain; charset=utf-8", "there is only /metrics\n".to_owned())
        }
        _ => (405, "text/plain; charset=utf-8", "only GET is answered\n".to_owned()),
    };
    let mut response = Response::from_string(body).with_status_code(status);
    if let Ok(header) = Header::from_bytes(b"Content-Type", kind.as_bytes()) {
        response.add_header(header);
    }
    request.respond(response)
}
