mod get;
mod isolate;
mod list;
mod runliveresponse;
mod unisolate;
