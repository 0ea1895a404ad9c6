//! A connection to one server, in the clear or in TLS, whose every read and write ends at the deadline.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection, StreamOwned};

use crate::git::failure::Failure;

/// The longest that connecting to one address takes.
const CONNECT: Duration = Duration::from_secs(10);

/// A connection.
pub(super) enum Wire {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
}

/// A socket with a deadline for all that is done on it.
pub(super) struct Timed {
    socket: TcpStream,
    deadline: Instant,
}

impl Wire {
    /// Connects to the first address of `host` that lets itself be connected to. The name is looked up by the system,
    /// which has a time limit of its own.
    pub(super) fn connect(
        host: &str,
        port: u16,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
        deadline: Instant,
    ) -> io::Result<Self> {
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (host, port).to_socket_addrs()? {
            let left = left_until(deadline)?;
            match TcpStream::connect_timeout(&address, left.min(CONNECT)) {
                Ok(socket) => {
                    socket.set_nodelay(true)?;
                    let timed = Timed { socket, deadline };
                    let Some((config, name)) = tls else {
                        return Ok(Self::Plain(timed));
                    };
                    let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
                    return Ok(Self::Tls(Box::new(StreamOwned::new(connection, timed))));
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

impl Timed {
    fn in_time<T>(&mut self, mut act: impl FnMut(&mut TcpStream) -> io::Result<T>) -> io::Result<T> {
        loop {
            let left = left_until(self.deadline)?;
            self.socket.set_read_timeout(Some(left))?;
            self.socket.set_write_timeout(Some(left))?;
            match act(&mut self.socket) {
                // A call with a time limit is ended by any signal (signal(7)), such as that of a child's end.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                done => return done,
            }
        }
    }
}

fn left_until(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.in_time(|socket| socket.read(buffer))
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.in_time(|socket| socket.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.in_time(TcpStream::flush)
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(wire) => wire.read(buffer),
            Self::Tls(wire) => wire.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(wire) => wire.write(bytes),
            Self::Tls(wire) => wire.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(wire) => wire.flush(),
            Self::Tls(wire) => wire.flush(),
        }
    }
}

/// What an error on the line means.
pub(super) fn failure_of(error: &io::Error) -> Failure {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (error.kind(), tls) {
        (io::ErrorKind::TimedOut, _) => Failure::Timeout,
        (_, Some(rustls::Error::InvalidCertificate(flaw))) => Failure::refused(why_distrusted(flaw), error),
        // What is read wrongly is an answer; a line that breaks is none.
        (io::ErrorKind::InvalidData, None) => Failure::answer(error),
        _ => Failure::unavailable(error),
    }
}

fn why_distrusted(flaw: &CertificateError) -> &'static str {
    match flaw {
        // A CA made anew under the name of the old one fails by its signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the git server's certificate is not signed by a CA that is trusted"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the git server's certificate has expired"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the git server's certificate is for another host"
        }
        _ => "the git server's certificate is not valid",
    }
}
