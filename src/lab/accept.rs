//! Connections over TLS, each served in a task of its own until the server stops: what all doors of a lab share.

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// Takes connections until it is told to stop, and ends those that stand then. `opens` says whether a new one is taken
/// at all: where it is not, whoever comes is cut off before a word.
pub(super) async fn accept<S>(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    stop: CancellationToken,
    opens: impl Fn() -> bool + Send,
    serve: impl Fn(TlsStream<TcpStream>) -> S + Clone + Send + Sync + 'static,
) where
    S: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                if !opens() {
                    continue;
                }
                let (acceptor, serve) = (acceptor.clone(), serve.clone());
                connections.spawn(async move {
                    let _ = stream.set_nodelay(true);
                    let Ok(tls) = acceptor.accept(stream).await else { return };
                    serve(tls).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
    connections.abort_all();
}
