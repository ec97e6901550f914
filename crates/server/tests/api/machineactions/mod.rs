mod cancel;
mod download_link;
mod get;
mod list;
mod package_link;
mod paging;

pub(crate) use download_link::finished_with_a_file;
