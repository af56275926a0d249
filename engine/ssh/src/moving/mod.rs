//! Moving a large file from one host to another: only what has data, gone on with after a cut, compared at the end, and
//! there all at once. See the decision record 0006.
//!
//! - The file that is written stands beside its target until it is whole and compared; its name tells where it comes from.
//! - What an earlier try left is never believed: parts that have something in them are compared with the source first.
//! - Both ends are told apart: each has its own connection, outage and user.

mod layout;
mod scripts;
mod way;

use piton_core::digest::Digest;
use piton_core::run::{BootId, Refusal};
use piton_core::runbook::Manner;
use piton_runner::transport::{Moved, News};

use self::layout::{Part, Stretch};
use self::scripts::{Seen, Target};
use self::way::Way;
use crate::files::{Failed, There, persist};
use crate::outage::Outage;

/// From this size on, what is put and got is moved in this way.
pub(crate) const LARGE: u64 = 64 * 1024 * 1024;

/// How often parts that arrived wrong are sent again before something must be wrong for good.
const ROUNDS: u32 = 3;

/// One file to be moved.
pub(crate) struct Move<'a> {
    /// The host that has it.
    pub(crate) from: There<'a>,
    /// The absolute path there.
    pub(crate) source: &'a str,
    /// The host that gets it.
    pub(crate) to: There<'a>,
    /// The absolute path there.
    pub(crate) target: &'a str,
    /// Permission bits, where somebody gave any.
    pub(crate) mode: Option<u32>,
    /// `user` or `user:group`, where somebody gave one.
    pub(crate) owner: Option<&'a str>,
    /// Whose mode and owner the file gets where nobody gave any.
    pub(crate) like: Like,
    /// How it is moved.
    pub(crate) manner: &'a Manner,
    /// How the source itself may reach the target: ssh and its words, or a shell on the same host.
    pub(crate) direct: Option<Vec<String>>,
    /// Who hears how it goes.
    pub(crate) news: &'a dyn News,
}

/// Whose mode and owner a file gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Like {
    /// Both those of the source.
    Source,
    /// Those of the file that is replaced; the mode of the source where there is none.
    Replaced,
    /// The mode of the source; it belongs to whoever writes it.
    Mode,
}

/// A part and what is known of it.
struct Piece {
    part: Part,
    /// The SHA-256 of the source's, once it is known.
    sum: Option<String>,
    /// The target has it, as far as we know.
    there: bool,
    /// The target was read, and had the same.
    compared: bool,
}

impl Move<'_> {
    /// Moves it.
    pub(crate) async fn carry_out(&self) -> Result<Moved, Refusal> {
        let source = self.from(persist!(self.from, scripts::look(&self.from, self.source)))?;
        let target = self.to(persist!(self.to, scripts::target(&self.to, self.target)))?;
        let data = match self.manner.sparse {
            true => self.from(persist!(self.from, scripts::map(&self.from, self.source, source.len)))?,
            false => layout::whole(source.len),
        };
        if target.len == Some(source.len)
            && let Some(pieces) = self.is_there(&source, &target, &data).await?
        {
            self.finish("-", &source, &target).await?;
            return Ok(moved(&source, &pieces));
        }
        self.unless_there(&source, &target, &data).await
    }

    /// The pieces of the target, if it is equal to the source already.
    async fn is_there(&self, source: &Seen, target: &Target, data: &[Stretch]) -> Result<Option<Vec<Piece>>, Refusal> {
        let has = self.to(persist!(self.to, scripts::map(&self.to, &target.place, source.len)))?;
        let mut pieces = pieces(&layout::union(data, &has));
        // What differs mostly does so soon: the first part tells before all is read.
        let mut from = 0;
        while from < pieces.len() {
            let end = if from == 0 { 1 } else { (from * 8).min(pieces.len()) };
            self.compare(&mut pieces[from..end], &target.place).await?;
            if pieces[from..end].iter().any(|piece| !piece.compared) {
                return Ok(None);
            }
            from = end;
        }
        Ok(Some(pieces))
    }

    async fn unless_there(&self, source: &Seen, target: &Target, data: &[Stretch]) -> Result<Moved, Refusal> {
        let file = part_name(&target.place, &self.from, self.source);
        let opened = self.to(persist!(self.to, scripts::open(&self.to, &file, source.len)))?;
        let done = self.fill(source, target, data, &file, &opened).await;
        // The way is over; what cannot be gone on with takes no room. A cut connection leaves it for the next try.
        if let Err(Refusal::Refused(_)) = &done {
            let _best_effort = scripts::drop_part(&self.to, &file).await;
        }
        let pieces = done?;
        self.finish(&file, source, target).await?;
        Ok(moved(source, &pieces))
    }

    /// Brings the file that is written to what the source is.
    async fn fill(
        &self,
        source: &Seen,
        target: &Target,
        data: &[Stretch],
        file: &str,
        opened: &scripts::Opened,
    ) -> Result<Vec<Piece>, Refusal> {
        let left = match opened.old {
            true => self.to(persist!(self.to, scripts::map(&self.to, file, source.len)))?,
            false => Vec::new(),
        };
        let mut pieces = pieces(&layout::union(data, &left));
        let mut begun: Vec<Piece> = Vec::new();
        let mut fresh = Vec::new();
        for piece in pieces.drain(..) {
            if piece.part.touches(&left) { begun.push(piece) } else { fresh.push(piece) }
        }
        self.compare(&mut begun, file).await?;
        for piece in &mut begun {
            piece.there = piece.compared;
        }
        let mut pieces = begun;
        pieces.append(&mut fresh);
        pieces.sort_by_key(|piece| piece.part.stretches.first().copied());

        let missing: u64 = pieces.iter().filter(|piece| !piece.there).map(|piece| piece.part.bytes()).sum();
        if target.free.is_some_and(|free| free < missing.min(source.len)) {
            let free = piton_core::time::show_size(target.free.unwrap_or_default());
            let needed = piton_core::time::show_size(missing);
            let dir = target.place.rsplit_once('/').map_or("", |(dir, _)| dir);
            let host = &self.to.pool.host;
            return Err(Refusal::Refused(format!("no room on {host}: {needed} are needed in {dir}/, {free} are free")));
        }

        let mut way = Way::choose(self, file, opened).await?;
        let mut boot = opened.boot.clone();
        let mut rounds = 0;
        loop {
            boot = self.send(&mut pieces, file, &mut way, boot, opened).await?;
            let sure = self.manner.checksum || boot != opened.boot || rounds > 0;
            if sure {
                self.compare_sent(&mut pieces, file).await?;
            }
            self.is_unchanged(source).await?;
            if pieces.iter().all(|piece| piece.there) {
                return Ok(pieces);
            }
            rounds += 1;
            if rounds == ROUNDS {
                let (from, to) = (&self.from.pool.host, &self.to.pool.host);
                let why = format!("what arrives on {to} is not what {from} has, {ROUNDS} times (SHA-256 differs)");
                return Err(Refusal::Refused(why));
            }
        }
    }

    /// Sends what is missing, through lost connections. The target's boot id at the end.
    async fn send(
        &self,
        pieces: &mut [Piece],
        file: &str,
        way: &mut Way,
        mut boot: BootId,
        opened: &scripts::Opened,
    ) -> Result<BootId, Refusal> {
        let total: u64 = pieces.iter().map(|piece| piece.part.bytes()).sum();
        let mut done: u64 = pieces.iter().filter(|piece| piece.there).map(|piece| piece.part.bytes()).sum();
        let mut outages = (Outage::new(self.from.pool.host.clone()), Outage::new(self.to.pool.host.clone()));
        self.news.progress(done, total);
        for piece in pieces.iter_mut().filter(|piece| !piece.there) {
            loop {
                let said = |now: u64| self.news.progress(done + now, total);
                match way.send(self, &piece.part, file, &said).await {
                    Ok(sum) => {
                        outages.0.over(self.news);
                        outages.1.over(self.news);
                        piece.sum = sum;
                        piece.there = true;
                        piece.compared = false;
                        break;
                    }
                    Err((side, failed)) => {
                        let again = match side {
                            Side::From => self.from(again(&self.from, &mut outages.0, failed).await),
                            Side::To => self.to(again(&self.to, &mut outages.1, failed).await),
                        };
                        again?;
                        if side == Side::To {
                            boot = self.still_open(file, opened).await?;
                        }
                    }
                }
            }
            done += piece.part.bytes();
            self.news.progress(done, total);
        }
        Ok(boot)
    }

    /// After a lost connection: the file that is written must still be there. Its host may have been started anew.
    async fn still_open(&self, file: &str, opened: &scripts::Opened) -> Result<BootId, Refusal> {
        let now = self.to(persist!(self.to, scripts::inode(&self.to, file)))?;
        if now.inode == opened.inode || now.boot != opened.boot {
            return Ok(now.boot);
        }
        let host = &self.to.pool.host;
        Err(Refusal::Refused(format!("somebody removed or replaced {file} on {host} while it was written")))
    }

    /// Reads both sides of these pieces; those that are equal are compared from then on.
    async fn compare(&self, pieces: &mut [Piece], there: &str) -> Result<(), Refusal> {
        if pieces.is_empty() {
            return Ok(());
        }
        let parts: Vec<&Part> = pieces.iter().map(|piece| &piece.part).collect();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let (one, other) = tokio::join!(
            async { persist!(self.from, scripts::sums(&self.from, self.source, &parts, &mut ours)) },
            async { persist!(self.to, scripts::sums(&self.to, there, &parts, &mut theirs)) }
        );
        self.from(one)?;
        self.to(other)?;
        for (piece, (our, their)) in pieces.iter_mut().zip(ours.into_iter().zip(theirs)) {
            piece.compared = our == their;
            piece.sum = Some(our);
        }
        Ok(())
    }

    /// Reads back what was sent; what arrived wrong is missing again.
    async fn compare_sent(&self, pieces: &mut [Piece], file: &str) -> Result<(), Refusal> {
        let unknown: Vec<usize> = (0..pieces.len()).filter(|&i| pieces[i].sum.is_none()).collect();
        let unread: Vec<usize> = (0..pieces.len()).filter(|&i| !pieces[i].compared).collect();
        let unknown_parts: Vec<&Part> = unknown.iter().map(|&i| &pieces[i].part).collect();
        let unread_parts: Vec<&Part> = unread.iter().map(|&i| &pieces[i].part).collect();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let (one, other) = tokio::join!(
            async { persist!(self.from, scripts::sums(&self.from, self.source, &unknown_parts, &mut ours)) },
            async { persist!(self.to, scripts::sums(&self.to, file, &unread_parts, &mut theirs)) }
        );
        self.from(one)?;
        self.to(other)?;
        for (i, sum) in unknown.into_iter().zip(ours) {
            pieces[i].sum = Some(sum);
        }
        for (i, sum) in unread.into_iter().zip(theirs) {
            pieces[i].compared = pieces[i].sum.as_ref() == Some(&sum);
            pieces[i].there = pieces[i].compared;
        }
        Ok(())
    }

    async fn is_unchanged(&self, source: &Seen) -> Result<(), Refusal> {
        let now = self.from(persist!(self.from, scripts::look(&self.from, self.source)))?;
        if now.token == source.token {
            return Ok(());
        }
        let host = &self.from.pool.host;
        let why =
            format!("{} on {host} was changed while it was moved; is something still writing to it?", self.source);
        Err(Refusal::Refused(why))
    }

    async fn finish(&self, file: &str, source: &Seen, target: &Target) -> Result<(), Refusal> {
        let was = target.was.as_ref().filter(|_| self.like == Like::Replaced);
        let mode = self.mode.unwrap_or_else(|| was.map_or(source.mode & 0o777, |was| was.mode));
        let (like, ids) = match (self.like, was) {
            (Like::Source, _) => (source.names.as_str(), source.ids.as_str()),
            (Like::Replaced, Some(was)) => (was.ids.as_str(), was.ids.as_str()),
            (Like::Replaced, None) | (Like::Mode, _) => ("-", "-"),
        };
        let (mode, len) = (format!("{mode:o}"), source.len.to_string());
        let owner = self.owner.unwrap_or("-");
        let arguments = [file, &target.place, &len, &mode, owner, like, ids];
        self.to(persist!(self.to, scripts::finish(&self.to, &arguments)))
    }

    fn from<T>(&self, done: Result<T, Refusal>) -> Result<T, Refusal> {
        done.map_err(|refusal| on(&self.from, refusal))
    }

    fn to<T>(&self, done: Result<T, Refusal>) -> Result<T, Refusal> {
        done.map_err(|refusal| on(&self.to, refusal))
    }
}

/// Which end of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    From,
    To,
}

/// What follows from a failure in the middle: a host that was reached is waited for as long as one with a job on it.
async fn again(there: &There<'_>, outage: &mut Outage, failed: Failed) -> Result<(), Refusal> {
    match failed {
        Failed::Refused(why) => Err(Refusal::Refused(why)),
        Failed::Lost(why) => {
            let limit = there.pool.common.options.lost_limit;
            if outage.goes_on(&why, limit, there.news).await { Ok(()) } else { Err(Refusal::Unreachable(why)) }
        }
    }
}

/// Says which host it was.
fn on(there: &There<'_>, refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Refused(why) => Refusal::Refused(format!("{}: {why}", there.pool.host)),
        Refusal::Unreachable(why) => Refusal::Unreachable(why),
    }
}

fn pieces(stretches: &[Stretch]) -> Vec<Piece> {
    let piece = |part| Piece { part, sum: None, there: false, compared: false };
    layout::parts(stretches).into_iter().map(piece).collect()
}

/// Where the file is written until it is whole. The name tells where it comes from: it is gone on with only for the same.
fn part_name(place: &str, from: &There<'_>, source: &str) -> String {
    let origin = Digest::of(format!("{}\0{source}", from.pool.host).as_bytes()).to_string();
    format!("{place}.{origin:.12}.piton-part")
}

/// What is told of a file that is there. Its digest is over the places and SHA-256 of its parts, as far as they are known.
fn moved(source: &Seen, pieces: &[Piece]) -> Moved {
    let mut list = format!("{}\n", source.len);
    for piece in pieces {
        for stretch in &piece.part.stretches {
            list.push_str(&format!("{} {} ", stretch.at, stretch.count));
        }
        list.push_str(piece.sum.as_deref().unwrap_or("-"));
        list.push('\n');
    }
    Moved { bytes: source.len, digest: Digest::of(list.as_bytes()) }
}
