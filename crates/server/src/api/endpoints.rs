//! The table of contents: every path once, with who may call it and how often.

use super::call::Call;
use super::error::ApiError;
use super::limits::Limit;
use super::{
    alerts, cancel_action, collect_package, delete_library_file, discovery, download, download_link, explain,
    find_by_ip, find_by_tag, get_action, get_machine, history, isolate, list_actions, list_library_files,
    list_machines, logon_users, offboard, openapi, package_link, path, quarantine_file, restrict, run_live_response,
    scan, start_investigation, tag_machine, token, unisolate, unrestrict, upload_library_file,
};
use axum::http::Method;
use axum::response::Response;
use domain::kind::Kind;
use domain::permission::{self, Operation, PermissionType};
use std::pin::Pin;

/// What a handler returns.
pub(super) type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response, ApiError>> + Send + 'a>>;

/// An endpoint.
pub(super) struct Endpoint {
    /// Its method.
    pub(super) method: Method,
    /// Its path; literals are matched without regard to case. Calls are counted by it.
    pub(super) path: &'static str,
    /// Who may call it.
    pub(super) access: Access,
    /// How often.
    pub(super) limit: Limit,
    /// What answers.
    pub(super) handler: for<'a> fn(&'a mut Call) -> Answer<'a>,
}

/// Who may call an endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) enum Access {
    /// Everyone: what is asked carries its own authority.
    Open,
    /// Everyone with a token.
    Token,
    /// Callers with the permissions for this.
    For(Operation),
}

/// The endpoints.
#[rustfmt::skip]
static ENDPOINTS: [Endpoint; 42] = {
    use {Access::{For, Open, Token}, Limit::{Investigation, LiveResponse, Package, Standard}, Operation::{Cancel, Investigate, Library, LogonUsers, PackageLink, Read, Request, ResultLink, Tag}};
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const DELETE: Method = Method::DELETE;
    [
        row(GET,    "/api/machineactions",                    For(Read),                        Standard,     |c| Box::pin(list_actions::list_actions(c))),
        row(GET,    "/api/machineactions/$count",             For(Read),                        Standard,     |c| Box::pin(list_actions::count_actions(c))),
        row(GET,    "/api/machineactions/{id}",               For(Read),                        Standard,     |c| Box::pin(get_action::get_action(c))),
        row(POST,   "/api/machineactions/{id}/cancel",        For(Cancel),                      Standard,     |c| Box::pin(cancel_action::cancel_action(c))),
        row(GET,    "/api/machineactions/{id}/GetLiveResponseResultDownloadLink(index={n})",
                                                              For(ResultLink),                  Standard,     |c| Box::pin(download_link::download_link(c))),
        row(GET,    "/api/machineactions/{id}/getPackageUri", For(PackageLink),                 Package,      |c| Box::pin(package_link::package_link(c))),
        row(GET,    "/api/machines",                          For(Read),                        Standard,     |c| Box::pin(list_machines::list_machines(c))),
        row(GET,    "/api/machines/$count",                   For(Read),                        Standard,     |c| Box::pin(list_machines::count_machines(c))),
        // Before the machine that would have such a name.
        row(GET,    "/api/machines/findbyip(ip='{ip}',timestamp={timestamp})",
                                                              For(Read),                        Standard,     |c| Box::pin(find_by_ip::find_by_ip(c))),
        row(GET,    "/api/machines/findbytag",                For(Read),                        Standard,     |c| Box::pin(find_by_tag::find_by_tag(c))),
        row(GET,    "/api/machines/findbytag(tag='{tag}')",   For(Read),                        Standard,     |c| Box::pin(find_by_tag::find_by_tag(c))),
        row(GET,    "/api/machines/findbytag(tag='{tag}',useStartsWithFilter={useStartsWithFilter})",
                                                              For(Read),                        Standard,     |c| Box::pin(find_by_tag::find_by_tag(c))),
        row(GET,    "/api/machines/{id}",                     For(Read),                        Standard,     |c| Box::pin(get_machine::get_machine(c))),
        row(POST,   "/api/machines/{id}/isolate",             For(Request(Kind::Isolate)),      Standard,     |c| Box::pin(isolate::isolate(c))),
        row(POST,   "/api/machines/{id}/unisolate",           For(Request(Kind::Release)),      Standard,     |c| Box::pin(unisolate::unisolate(c))),
        row(POST,   "/api/machines/{id}/runliveresponse",     For(Request(Kind::LiveResponse)), LiveResponse, |c| Box::pin(run_live_response::run_live_response(c))),
        row(POST,   "/api/machines/{id}/runAntiVirusScan",    For(Request(Kind::Scan)),         Standard,     |c| Box::pin(scan::scan(c))),
        row(POST,   "/api/machines/{id}/restrictCodeExecution",
                                                              For(Request(Kind::RestrictExecution)),
                                                                                                Standard,     |c| Box::pin(restrict::restrict(c))),
        row(POST,   "/api/machines/{id}/unrestrictCodeExecution",
                                                              For(Request(Kind::UnrestrictExecution)),
                                                                                                Standard,     |c| Box::pin(unrestrict::unrestrict(c))),
        row(POST,   "/api/machines/{id}/collectInvestigationPackage",
                                                              For(Request(Kind::CollectPackage)),
                                                                                                Standard,     |c| Box::pin(collect_package::collect_package(c))),
        row(POST,   "/api/machines/{id}/StopAndQuarantineFile",
                                                              For(Request(Kind::QuarantineFile)),
                                                                                                Standard,     |c| Box::pin(quarantine_file::quarantine_file(c))),
        row(POST,   "/api/machines/{id}/offboard",            For(Request(Kind::Offboard)),     Standard,     |c| Box::pin(offboard::offboard(c))),
        row(POST,   "/api/machines/{id}/startInvestigation",  For(Investigate),                 Investigation, |c| Box::pin(start_investigation::start_investigation(c))),
        row(GET,    "/api/machines/{id}/logonusers",          For(LogonUsers),                  Standard,     |c| Box::pin(logon_users::logon_users(c))),
        row(POST,   "/api/machines/{id}/tags",                For(Tag),                         Standard,     |c| Box::pin(tag_machine::tag_machine(c))),
        row(GET,    "/api/libraryfiles",                      For(Library),                     Standard,     |c| Box::pin(list_library_files::list_library_files(c))),
        row(POST,   "/api/libraryfiles",                      For(Library),                     Standard,     |c| Box::pin(upload_library_file::upload_library_file(c))),
        row(DELETE, "/api/libraryfiles/{name}",               For(Library),                     Standard,     |c| Box::pin(delete_library_file::delete_library_file(c))),
        row(GET,    "/api/alerts",                            Token,                            Standard,     |c| Box::pin(alerts::alerts(c))),
        row(GET,    "/api/alerts/$count",                     Token,                            Standard,     |c| Box::pin(alerts::count_alerts(c))),
        row(GET,    "/api/countermand/actions/{id}",          For(Read),                        Standard,     |c| Box::pin(explain::explain(c))),
        row(GET,    "/api/countermand/actions/{id}/history",  For(Read),                        Standard,     |c| Box::pin(history::history(c))),
        row(GET,    download::PATH,                           Open,                             Standard,     |c| Box::pin(download::download(c))),
        row(POST,   "/{tenant}/oauth2/v2.0/token",            Open,                             Standard,     |c| Box::pin(token::version_2(c))),
        row(POST,   "/{tenant}/oauth2/token",                 Open,                             Standard,     |c| Box::pin(token::version_1(c))),
        row(GET,    "/{tenant}/v2.0/.well-known/openid-configuration", Open,                    Standard,     |c| Box::pin(discovery::version_2(c))),
        row(GET,    "/{tenant}/.well-known/openid-configuration", Open,                         Standard,     |c| Box::pin(discovery::version_1(c))),
        row(GET,    "/{tenant}/discovery/v2.0/keys",          Open,                             Standard,     |c| Box::pin(discovery::keys(c))),
        row(GET,    "/{tenant}/discovery/keys",               Open,                             Standard,     |c| Box::pin(discovery::keys(c))),
        row(GET,    "/common/discovery/instance",             Open,                             Standard,     |c| Box::pin(discovery::instance(c))),
        row(GET,    openapi::PATH,                            Open,                             Standard,     |c| Box::pin(openapi::openapi(c))),
        row(GET,    "/docs",                                  Open,                             Standard,     |c| Box::pin(openapi::docs(c))),
    ]
};

const fn row(
    method: Method,
    path: &'static str,
    access: Access,
    limit: Limit,
    handler: for<'a> fn(&'a mut Call) -> Answer<'a>,
) -> Endpoint {
    Endpoint { method, path, access, limit, handler }
}

/// Every endpoint.
pub(super) fn all() -> &'static [Endpoint] {
    &ENDPOINTS
}

impl Endpoint {
    /// The permissions that an application needs, in words; none where a token or nothing is enough.
    pub(super) fn permissions(&self) -> Option<String> {
        let Access::For(operation) = self.access else { return None };
        let group = |group: &&[permission::Permission]| {
            group.iter().map(|permission| permission.wire()).collect::<Vec<_>>().join(" or ")
        };
        let groups: Vec<String> = permission::needs(operation, PermissionType::Application).iter().map(group).collect();
        Some(groups.join(", and "))
    }
}

/// The method and the path of every endpoint, as the table has them.
pub fn routes() -> impl Iterator<Item = (Method, &'static str)> {
    ENDPOINTS.iter().map(|endpoint| (endpoint.method.clone(), endpoint.path))
}

/// The endpoint that answers this, with the parameters of its path.
pub(super) fn find(method: &Method, segments: &[String]) -> Option<(&'static Endpoint, Vec<String>)> {
    let mut candidates = ENDPOINTS.iter().filter(|endpoint| endpoint.method == *method);
    candidates.find_map(|endpoint| Some((endpoint, path::matches(endpoint.path, segments)?)))
}
