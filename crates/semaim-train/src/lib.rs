//! The trainer: from a configuration and a data set to a run directory with an encoder in it.
//!
//! * [`config`]: everything that can be set, and what is allowed.
//! * [`trainer`]: the loop, one for all that is trained. One step is: batch, loss, gradients, clipping, update.
//! * [`task`]: what a trainer is given: a model and the loss of a batch.
//! * [`pretrain`]: pre-training as such tasks, by SemAIM and by masking.
//! * [`start`]: weights that it starts from; [`freeze`]: those that do not learn.
//! * [`loss_values`]: losses as numbers, for the log.
//! * [`gradients`], [`param_groups`], [`optimizer`], [`schedule`], [`ema`]: the parts of an update.
//! * [`run_dir`], [`state`], [`log`]: what is on the disk, and going on from it bit for bit; [`restore`]: a model out of it.
//! * [`memory`] and [`step_time`](mod@step_time): what a run needs, told beforehand; [`process_memory`]: what this process has.
//! * [`measure`]: the time of single steps and of their matrix products, for `semaim bench`.
//! * [`ranks`]: several processes that train one model; `exchange` adds up what they computed.
//! * [`callbacks`]: how a program follows, evaluates and stops a run; [`error`]: why it cannot start or go on.

pub mod callbacks;
pub mod config;
pub mod ema;
pub mod error;
mod exchange;
mod feed;
pub mod freeze;
pub mod gradients;
pub mod log;
pub mod loss_values;
pub mod measure;
pub mod memory;
pub mod optimizer;
pub mod param_groups;
pub mod pretrain;
pub mod process_memory;
pub mod ranks;
pub mod restore;
pub mod run_dir;
pub mod schedule;
pub mod start;
pub mod state;
pub mod step_time;
pub mod task;
mod teacher_cache;
pub mod trainer;
mod unread;
