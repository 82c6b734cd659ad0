//! Loading, the commands' descriptions, the configuration, and `INFO`.

mod config;
mod describe;
mod info;
mod load;
