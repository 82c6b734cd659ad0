//! Serves the metrics by HTTP.

use super::Found;
use crate::servers::Target;
use crate::status::Failure;
use axum::Router;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Serves until INT or TERM. The servers are asked at each request.
pub async fn serve(target: Target, address: SocketAddr) -> Result<u8, Failure> {
    let failed = |error| {
        Failure(format!(
            "cannot listen on {address}: {error}; choose another by --listen"
        ))
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    // Of port 0 it is only known now.
    let bound = listener.local_addr().map_err(failed)?;
    let target = Arc::new(target);
    let router = Router::new().route("/metrics", get(move || answer(target.clone())));
    say!("serving http://{bound}/metrics");
    let ended = ended().map_err(failed)?;
    tokio::select! {
        served = axum::serve(listener, router) => served.map_err(failed).map(|()| 0),
        () = ended => Ok(0),
    }
}

fn ended() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
    })
}

/// A server that is down is told of by `redis_lock_up`. If none could be asked, the request fails, and Prometheus says so.
async fn answer(target: Arc<Target>) -> impl IntoResponse {
    let text = match Found::of(&target).await {
        Ok(found) => found.text(),
        Err(failure) => Err(failure),
    };
    match text {
        Ok(text) => (
            StatusCode::OK,
            [(CONTENT_TYPE, prometheus::TEXT_FORMAT)],
            text,
        ),
        Err(failure) => {
            let text = format!("{failure}\n");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                [(CONTENT_TYPE, "text/plain; charset=utf-8")],
                text,
            )
        }
    }
}
