//! Having a job dead, with proof.

use std::sync::Arc;

use piton_runner::transport::{JobSpec, News, StopError};

use crate::outage::Outage;
use crate::pool::Pool;
use crate::script;
use crate::shell::Answer;

/// TERM, KILL after `grace` seconds, until no process of the job lives; a job that had not begun never will.
pub(crate) async fn stop(pool: &Arc<Pool>, job: &JobSpec, grace: u32, news: &dyn News) -> Result<(), StopError> {
    let (run, name, grace) = (job.run.to_string(), job.id.file_name(), grace.to_string());
    let user = job.become_user.as_deref().unwrap_or_default();
    let request = script::run(&script::STOPPING, &[&run, &name, &grace, user]);
    let mut outage = Outage::new(pool.host.clone());
    loop {
        let limit = pool.common.options.connect_limit;
        let why = match pool.shell().await {
            Ok(mut shell) => {
                let told = match shell.ask(&request).await {
                    Ok(()) => shell.answer().await,
                    Err(error) => Err(error),
                };
                match told {
                    Ok(answer) => {
                        outage.over(news);
                        pool.give(shell);
                        if let Some(end) = judge(&answer) {
                            return end;
                        }
                        answer.rest().to_owned()
                    }
                    Err(error) => format!("the connection to {} was lost: {error}", pool.host),
                }
            }
            Err(error) => error.message,
        };
        if !outage.goes_on(&why, limit, news).await {
            return Err(StopError::Unreachable(why));
        }
    }
}

/// `None`: somebody else claimed it at the same moment; look again.
fn judge(answer: &Answer) -> Option<Result<(), StopError>> {
    match answer.word() {
        "dead" => Some(Ok(())),
        "again" if answer.rest().is_empty() => None,
        _ => Some(Err(StopError::Alive(answer.rest().to_owned()))),
    }
}
