mod cancel;
mod download_link;
mod get;
mod list;
mod package_link;
mod paging;
