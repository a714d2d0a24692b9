//! A server that speaks TLS rightly and everything else as a script says, byte by byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use infra::adapters::{Https, HttpsTarget, Trust};
use infra::model::Fingerprint;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

/// What is done after a request was read.
#[derive(Debug, Clone)]
pub enum Step {
    /// These bytes at once.
    Send(Vec<u8>),
    /// These bytes again and again, until nobody listens.
    Repeat(Vec<u8>),
    /// These bytes one by one, so far apart.
    Drip(Vec<u8>, Duration),
    /// Nothing, for ever.
    Silence,
    /// The end of the connection as TLS has it.
    Close,
    /// The end of the connection without a word.
    Cut,
    /// The next request of this connection.
    Next,
}

/// What there is in place of TLS.
#[derive(Debug, Clone)]
pub enum Layer {
    /// TLS as it should be.
    Tls,
    /// TLS with a certificate of the past.
    Expired,
    /// These bytes to whoever connects, then the end.
    Raw(Vec<u8>),
    /// Nothing to whoever connects.
    Silent,
}

/// A running server.
pub struct Scripted {
    pub port: u16,
    pub fingerprint: Fingerprint,
    pub ca: Vec<u8>,
    /// Whether its script ends in waiting.
    pub lets_wait: bool,
    /// Requests that came in whole.
    pub requests: Arc<AtomicUsize>,
}

impl Scripted {
    pub async fn start(layer: Layer, script: Vec<Step>) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        if matches!(layer, Layer::Expired) {
            (params.not_before, params.not_after) =
                (rcgen::date_time_ymd(2001, 1, 1), rcgen::date_time_ymd(2002, 1, 1));
        }
        let leaf = params.signed_by(&key, &ca).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            fingerprint: Fingerprint::new(Sha256::digest(leaf.der()).into()),
            ca: ca.pem().into_bytes(),
            lets_wait: matches!(layer, Layer::Silent)
                || script.iter().any(|step| matches!(step, Step::Silence | Step::Drip(..) | Step::Repeat(_))),
            requests: Arc::default(),
        };
        let requests = Arc::clone(&server.requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, layer, script) = (acceptor.clone(), layer.clone(), script.clone());
                tokio::spawn(connection(stream, acceptor, layer, script, Arc::clone(&requests)));
            }
        });
        server
    }

    pub fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Our own door to it; where the script makes it wait, with a limit that nobody has to wait for.
    pub fn door(&self, trust: Trust) -> Https {
        let patience = if self.lets_wait { Duration::from_millis(400) } else { Duration::from_secs(20) };
        let token = SecretString::from("00000000-1111-2222-3333-444444444444".to_owned());
        let mut target = HttpsTarget::new("127.0.0.1", self.port, trust, "infra@pve!t", token);
        target.connect_limit = patience.mul_f32(0.7);
        target.request_limit = patience;
        target.max_response_bytes = 100_000;
        Https::new(&target).unwrap()
    }

    pub fn pinned(&self) -> Https {
        self.door(Trust::Pinned(self.fingerprint))
    }
}

async fn connection(
    mut stream: TcpStream,
    acceptor: tokio_rustls::TlsAcceptor,
    layer: Layer,
    script: Vec<Step>,
    requests: Arc<AtomicUsize>,
) {
    match layer {
        Layer::Raw(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            return;
        }
        Layer::Silent => std::future::pending().await,
        Layer::Tls | Layer::Expired => {}
    }
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    if super::read_request(&mut stream).await.is_none() {
        return;
    }
    requests.fetch_add(1, Ordering::SeqCst);
    for step in script {
        let sent = match step {
            Step::Send(bytes) => stream.write_all(&bytes).await,
            Step::Repeat(bytes) => loop {
                if let Err(error) = stream.write_all(&bytes).await {
                    break Err(error);
                }
            },
            Step::Drip(bytes, every) => {
                let mut sent = Ok(());
                for byte in bytes {
                    sent = sent.and(stream.write_all(&[byte]).await).and(stream.flush().await);
                    tokio::time::sleep(every).await;
                }
                sent
            }
            Step::Silence => std::future::pending().await,
            Step::Close => stream.shutdown().await,
            Step::Cut => return,
            Step::Next => match super::read_request(&mut stream).await {
                Some(_) => {
                    requests.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                }
                None => return,
            },
        };
        if sent.and(stream.flush().await).is_err() {
            return;
        }
    }
    // Whoever waits for more gets the end of the connection.
    let _ = stream.shutdown().await;
}
