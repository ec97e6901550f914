//! Puts the server together and runs it.

use crate::actions::Actions;
use crate::agent_link::{self, AgentLink};
use crate::api::limits::Limits;
use crate::api::{self, ApiState};
use crate::authority::Authority;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::links::Links;
use crate::signer::{FileSigner, Signer};
use crate::tokens::{Issuers, SignIn, Tenant, TokenKeys, Verifier};
use crate::wake::Wake;
use crate::{admin, listen, sweep, tls};
use anyhow::Context as _;
use axum::Router;
use std::sync::Arc;
use store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Serves until the process is told to end.
///
/// # Errors
/// It cannot start, or a listener breaks.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = admin::open_store(&config)?;
    admin::announce_keys(&*store, &config.data.dir, clock.now()).await?;
    let authority = Arc::new(Authority::open(&config.data.dir, &config.listen.names, clock.now())?);
    let wake = Arc::new(Wake::default());
    let actions = Actions::new(Arc::clone(&store), Arc::clone(&wake))
        .with_strict_cancel(config.cancel.strict)
        .with_live_responses_max(config.limits.live_response_sessions_max());
    let link = agent_link(&config, &clock, &actions, &wake, &authority)?;
    let state = api_state(&config, &clock, store, actions.clone()).await?;
    let api_router = agent_link::enrol_router(link.clone()).merge(api::router(state));
    let agent_router: Router = agent_link::router(link);

    let listen = config.listen.clone();
    let api_listener = bind(listen.api_address).await?;
    let agent_listener = bind(listen.agent_address).await?;
    tracing::info!(api = %api_listener.local_addr()?, agents = %agent_listener.local_addr()?, "serving");
    let api_tls = if listen.plain_http { None } else { Some(tls::api(&authority)?) };
    let agent_tls = Some(tls::agents(&authority)?);

    let (end, ended) = watch::channel(());
    let sweeping = tokio::spawn(sweep::sweep(actions.clone(), Arc::clone(&clock), config.agents.horizon_seconds));
    let api = listen::serve(api_listener, api_tls, api_router, &listen, told(ended.clone()));
    let agents = listen::serve(agent_listener, agent_tls, agent_router, &listen, told(ended));
    let told_to_end = async {
        wait_for_signal().await?;
        tracing::info!("ending");
        drop(end);
        Ok(())
    };
    let served = tokio::try_join!(api, agents, told_to_end);
    sweeping.abort();
    if let Err(e) = actions.write_counted(clock.now(), true).await {
        tracing::error!(error = %e, "the audit log could not be told of what was counted");
    }
    sweep::show_head(&actions).await;
    served.context("serving")?;
    Ok(())
}

fn agent_link(
    config: &Config,
    clock: &Arc<dyn Clock>,
    actions: &Actions,
    wake: &Arc<Wake>,
    authority: &Arc<Authority>,
) -> anyhow::Result<AgentLink> {
    agent_link::content::remove_incoming(&config.data.artifact_dir()).context("cannot clear up among the artifacts")?;
    let signer: Arc<dyn Signer> = Arc::new(FileSigner::open(&config.data.dir)?);
    Ok(AgentLink {
        actions: actions.clone(),
        wake: Arc::clone(wake),
        authority: Arc::clone(authority),
        signer,
        clock: Arc::clone(clock),
        artifact_dir: config.data.artifact_dir(),
        agent_address: config.agents.address.clone(),
    })
}

async fn api_state(
    config: &Config,
    clock: &Arc<dyn Clock>,
    store: Arc<dyn Store>,
    actions: Actions,
) -> anyhow::Result<ApiState> {
    let tenant = Tenant::load(&*store, clock.random()).await?;
    let keys = Arc::new(TokenKeys::open(&config.data.dir, config.tokens.lifetime_seconds)?);
    let issuers = Issuers::new(&config.tokens.issuers).map_err(anyhow::Error::msg)?;
    let verifier = Verifier::new(Arc::clone(&keys), tenant, &config.tokens).with_issuers(issuers);
    let verifier = Arc::new(verifier);
    let sign_in = Arc::new(SignIn::new(store, Arc::clone(&keys), tenant, &config.tokens, clock.random())?);
    let links = Arc::new(Links::open(&config.data.dir, clock.random())?);
    let limits = Arc::new(Limits::new(config.limits.clone()));
    Ok(ApiState {
        actions,
        verifier,
        sign_in,
        keys,
        tenant,
        links,
        limits,
        config: Arc::new(config.clone()),
        clock: Arc::clone(clock),
    })
}

async fn bind(address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Ready once the sender is gone.
async fn told(mut ended: watch::Receiver<()>) {
    while ended.changed().await.is_ok() {}
}

async fn wait_for_signal() -> std::io::Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}
