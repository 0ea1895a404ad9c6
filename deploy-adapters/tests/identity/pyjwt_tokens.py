#!/usr/bin/env python3
"""Tokens of a foreign issuer, good and bad, each with what has to become of it: PyJWT and cryptography make them.

    pip install PyJWT==2.15.1 cryptography
    python pyjwt_tokens.py > tokens.json          the file beside this one
    python pyjwt_tokens.py --fresh                the same cases under keys that nobody has seen before

Keys and times are fixed without --fresh. Signatures of ES* and PS* hold a random number, so those tokens differ from run
to run; tokens.json is what one run wrote. The keys are for tests and guard nothing.
"""

import base64
import hashlib
import hmac
import json
import secrets
import sys

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

FRESH = "--fresh" in sys.argv[1:]
NOW = 1767225600  # 2026-01-01T00:00:00Z
ISSUER, AUDIENCE = "https://issuer.example", "deploy-api"

# Fixed keys, as numbers.
ISSUER_P = 0xFA0EFC7D848B7A31C6D940040001CFF780D8EE3466D4D9FD4612018F713211CC757624E5C01D55A7B238338B73EF341F174D292596A897D97AE9AB97023570F39F111953FB58264417A0789020829EF3B15AF409C1AFDDEDB9267789A52F83A9A757A3ACE776B4C070CF9303695444C9A9F8E68DC4FB223D4D7F85D8D23BEF7B
ISSUER_Q = 0xBA70E543E2358AA5D4165C62A45A4232E4CA502C29CF6359067CE8B5BF3ED3347FD1B4AE6B485F58A2144E7B1A2B3A268B3EF1618F060711C2BDF88DEDB8F0F6ABF54A8B146A92F8196A4C9D5DDC6AC08187B9D5FA3FFC8A91C77C916F9F4E0DD59D63B0AD2D45BFE7B4C7FA1828C51A6CB1A0237C7B5D50946DC3A770241D6B
STRANGER_P = 0xDC3524AFE96CC79CAF1FCF0E311D06F5389543B496990D4B49B0BAAB2160CA848ABBE7A84957574E5FB51AF9AE489FA799FBF6BB1A14E6CB6E4652111F7FCB6B5CDC079520A6A5B7F8FFE6425E0CD535122538DB4D67E9AA40B06D9AADC2F2F8D6B1C8519F870231499146B633DD8469DEAFBA6A397AC45C0527CFEAF5F78169
STRANGER_Q = 0xB696B9E0566CF10A162D9222A1DCF32DD31D4F65E576A17F30A4141675964F84C63CAECC6D1B9AC0FD010CBCD3E9D7838052006A7E0FF64AE171568A1FCFB48BA226FC3D58186AE5CCF1918E4D41910870CB9AE2F88BEB6ED3991DC4AB593FFA24B5355A321DCFF69AE8D70627C9B68008D206BFF8510293538462B12A561D09


def rsa_key(p, q):
    if FRESH:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    e, n = 65537, p * q
    d = pow(e, -1, (p - 1) * (q - 1))
    dp, dq, qi = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(e, n)).private_key()


def ec_key(curve, number):
    return ec.generate_private_key(curve) if FRESH else ec.derive_private_key(number, curve)


def octets(text):
    return secrets.token_bytes(len(text)) if FRESH else text


RSA, STRANGER = rsa_key(ISSUER_P, ISSUER_Q), rsa_key(STRANGER_P, STRANGER_Q)
P256, P384, P521 = ec_key(ec.SECP256R1(), 0xDE9107), ec_key(ec.SECP384R1(), 0xDE9108), ec_key(ec.SECP521R1(), 0xDE9109)
STRANGER_P256 = ec_key(ec.SECP256R1(), 0xBAD)
SHARED, SECRET = octets(b"a shared key of the set, as long as SHA-512 wants it: 64 and some"), octets(b"the secret in a file is 41 bytes, no less")
STRANGER_SECRET = octets(b"a secret that nobody but we ever saw")


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwk(key, **members):
    if isinstance(key, bytes):
        return {"kty": "oct", "k": b64(key), **members}
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    made = algorithm.to_jwk(key.public_key(), as_dict=True)
    made.pop("key_ops", None)
    return {**made, **members}


OKP = {"kty": "OKP", "crv": "Ed25519", "kid": "ed1", "alg": "EdDSA", "use": "sig",
       "x": b64(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw())}
SET = [
    jwk(RSA, kid="r1", alg="RS256", use="sig"),
    jwk(RSA, kid="enc1", alg="RSA-OAEP", use="enc"),
    OKP,
    jwk(RSA, kid="r384", alg="RS384", use="sig", key_ops=["verify"]),
    jwk(RSA, kid="r512", alg="RS512"),
    jwk(RSA, kid="p256", alg="PS256", use="sig"),
    jwk(RSA, kid="p384", alg="PS384"),
    jwk(RSA, kid="p512", alg="PS512"),
    jwk(P256, kid="e256", alg="ES256", use="sig"),
    jwk(P384, kid="e384", use="sig"),
    jwk(P521, kid="e521", alg="ES512", use="sig"),
    jwk(SHARED, kid="h1", use="sig"),
    jwk(SHARED, kid="h512", alg="HS512"),
]
# Which key signs for a kid, and with what.
SIGNERS = {"r1": (RSA, "RS256"), "r384": (RSA, "RS384"), "r512": (RSA, "RS512"), "p256": (RSA, "PS256"),
           "p384": (RSA, "PS384"), "p512": (RSA, "PS512"), "e256": (P256, "ES256"), "e384": (P384, "ES384"),
           "h1": (SHARED, "HS256"), "h512": (SHARED, "HS512"), None: (SECRET, "HS256")}
VERIFIERS = {
    # A set of keys of an issuer for many.
    "set": {"jwks": {"keys": SET}, "issuer": ISSUER, "audience": AUDIENCE},
    # A set of one key that does not say what it is for.
    "one": {"jwks": {"keys": [jwk(RSA, kid="r1")]}, "issuer": ISSUER, "audience": AUDIENCE},
    # A set of one key without a name.
    "nameless": {"jwks": {"keys": [jwk(P256)]}, "issuer": ISSUER, "audience": AUDIENCE},
    # A secret in a file, and nothing else said.
    "secret": {"secret": b64(SECRET), "issuer": None, "audience": None},
}

LENGTH = "it is longer than 8 KiB"
PARTS = "it is not three parts with dots between them"
BASE64 = "it is not three parts of base64url without padding"
UNSIGNED = "it is not signed"
HEADER = "its header is not one JSON object with each key once, at most 32 deep"
TYPE = "its header's typ is neither JWT nor at+jwt: it was made for something else"
NO_ALG = "its header has no alg that is a text"
ALG = "its header's alg is not the one its key is used with"
KID_TEXT = "its header's kid is not a text"
NO_KID = "its header has no kid, and there are several keys"
KID = "its header's kid names no key that is believed"
CRIT = "its header says crit, and no extension is understood here"
B64 = "its header says b64, and no extension is understood here"
ZIP = "its header says zip: a signed token is not compressed"
CTY = "its header says cty: a token inside a token is not looked into"
OWN_JWK, OWN_X5C = "its header brings its own key (jwk)", "its header brings its own key (x5c)"
JKU, X5U = ("its header names a place to fetch a key from (%s)" % name for name in ("jku", "x5u"))
SIGNATURE = "its signature is wrong"
PAYLOAD = "its payload is not one JSON object with each key once, at most 32 deep"
NO_EXP = "it has no exp, so it would be believed for ever"
EXP, NBF, IAT = ("its %s is not a number of seconds from 1970 to the year 9999" % name for name in ("exp", "nbf", "iat"))
EXPIRED, NOT_YET = "it has expired (exp)", "it is not valid yet (nbf)"
FUTURE = "it was issued in the future (iat): a clock is wrong, or the token is"
ISS = "its issuer (iss) is not the one that is believed"
NO_AUD, AUD = "it does not say whom it is for (aud)", "it is meant for somebody else (aud)"
AUD_TYPE = "its aud is neither a text nor an array of texts"
AUD_UNSET = "it says whom it is for (aud), and the server was not told its name; set --jwt-audience"
EMAIL = "its email is not one mailbox of at most 254 bytes"
UNVERIFIED = "its email is not verified (email_verified)"
SUB = ("its sub is not 1 to 254 printable ASCII characters, no blanks at either end, "
       "a mailbox where it has an '@'")
NOBODY = "it says neither email nor sub"
GROUPS = "its groups are not an array of at most 256 texts of 1 to 256 characters, none a control character"

CASES = []


def good(name, token, identity="ada@example.com", groups=(), verifier="set"):
    CASES.append({"name": name, "verifier": verifier, "identity": identity, "groups": list(groups), "token": token})


def bad(name, token, rule, verifier="set"):
    CASES.append({"name": name, "verifier": verifier, "rule": rule, "token": token})


def claims(**changed):
    """Good claims but for those; a claim that is None is left out."""
    base = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u1", "email": "ada@example.com", "iat": NOW, "nbf": NOW,
            "exp": NOW + 300}
    return {name: value for name, value in {**base, **changed}.items() if value is not None}


def token(kid="r1", header=None, **changed):
    """As PyJWT makes it."""
    key, algorithm = SIGNERS[kid]
    named = {"kid": kid, **(header or {})}
    named = {name: value for name, value in named.items() if value is not None}
    return jwt.encode(claims(**changed), key, algorithm=algorithm, headers=named)


def sign(algorithm, key, message):
    made = jwt.get_algorithm_by_name(algorithm)
    return made.sign(message, key)


def signed(header, payload, kid="r1"):
    """Whatever bytes it is, signed as it should be."""
    key, algorithm = SIGNERS[kid]
    message = (b64(header) + "." + b64(payload)).encode()
    return message.decode() + "." + b64(sign(algorithm, key, message))


def header(kid="r1", **changed):
    members = {"alg": SIGNERS[kid][1], "typ": "JWT", "kid": kid, **changed}
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()


def payload(**changed):
    return json.dumps(claims(**changed)).encode()


def raw(text, **changed):
    """A payload with `text` for claims that no JSON writer makes."""
    return payload(**changed)[:-1] + b", " + text + b"}"


def forged(head, signature, body=None):
    return b64(json.dumps(head).encode()) + "." + b64(body or payload()) + "." + b64(signature)


def hs256(head, key):
    message = b64(json.dumps(head).encode()) + "." + b64(payload())
    return message + "." + b64(hmac.new(key, message.encode(), hashlib.sha256).digest())


def parts(text):
    return text.split(".")


# Good ones.
for kid in SIGNERS:
    if kid:
        good("%s as PyJWT signs it" % SIGNERS[kid][1], token(kid))
plain = {"iss": None, "aud": None}
good("a secret in a file, no kid", token(None, **plain), verifier="secret")
good("a secret in a file, any kid, for it has no name", token(None, {"kid": "2026"}, **plain), verifier="secret")
good("a secret in a file, any issuer", token(None, aud=None, iss="whoever"), verifier="secret")
good("no kid, one key", token("r1", {"kid": None}), verifier="one")
good("one key without a name", token("e256"), verifier="nameless")
good("several audiences", token(aud=["other", AUDIENCE]))
good("times with fractions", token(exp=NOW + 300.5, nbf=NOW - 0.5, iat=NOW - 1.25))
good("expired within the leeway", token(exp=NOW - 59))
good("not valid yet, within the leeway", token(nbf=NOW + 60, iat=NOW + 60))
good("groups", token(groups=["data", "größe 数据", "a b"]), groups=["data", "größe 数据", "a b"])
good("no groups", token(groups=[]))
good("a subject alone", token(sub="auth0|5f7c", email=None), identity="auth0|5f7c")
good("a subject that is a mailbox", token(sub="bob@example.com", email=None), identity="bob@example.com")
good("a subject, and no mailbox that would have to be verified", token(email=None, email_verified=False), identity="u1")
good("a verified mailbox", token(email_verified=True))
good("a mailbox verified in a text, as Apple writes it", token(email_verified="true"))
good("an access token", token(header={"typ": "at+jwt"}))
good("an access token in full", token(header={"typ": "application/AT+JWT"}))
good("typ in small letters", token(header={"typ": "jwt"}))
good("no typ", signed(header(typ=None), payload()))
good("members that nobody knows", token(header={"x5t": "abc", "nonce": "1", "kind": {"a": [1]}}, jti="1", roles=["x"]))
good("a payload with blanks", signed(header(), json.dumps(claims(), indent=4).encode()))

# The algorithm is the key's.
for none in ["none", "None", "nOnE", "NONE"]:
    bad("alg %s, unsigned" % none, forged({"alg": none, "typ": "JWT", "kid": "r1"}, b""), UNSIGNED)
    bad("alg %s, signed" % none, forged({"alg": none, "typ": "JWT", "kid": "r1"}, b"x"), ALG)
bad("alg none for a secret", forged({"alg": "none"}, b"x", payload(**plain)), ALG, verifier="secret")
PEM = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
DER = RSA.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
for what, key in [("PEM", PEM), ("PEM without its line end", PEM.rstrip()), ("DER", DER),
                  ("JWK", json.dumps(SET[0]).encode()), ("modulus", SET[0]["n"].encode())]:
    bad("HS256 by the RSA key's %s" % what, hs256({"alg": "HS256", "typ": "JWT", "kid": "r1"}, key), ALG)
    bad("HS256 by the RSA key's %s, called RS256" % what, hs256({"alg": "RS256", "typ": "JWT", "kid": "r1"}, key),
        SIGNATURE)
for kid, other in [("r1", "RS384"), ("r1", "PS256"), ("r1", "ES256"), ("e256", "RS256"), ("h1", "RS256"), ("h1", "HS512"),
                   ("r1", "EdDSA"), ("r1", "rs256"), ("r1", "RS256 "), ("r1", "")]:
    key, _ = SIGNERS[kid]
    bad("alg %r for %s" % (other, kid), signed(header(kid, alg=other), payload(), kid), ALG)
bad("RS384 by the key of RS256", hs256({"alg": "RS384", "kid": "r1"}, SHARED), ALG)
bad("PS256 signed as RS256", signed(header("p256"), payload(), "r1"), SIGNATURE)
bad("no alg", signed(header(alg=None), payload()), NO_ALG)
bad("alg is a number", signed(header(alg=256), payload()), NO_ALG)
bad("alg is an array", signed(header(alg=["RS256"]), payload()), NO_ALG)

# The key is ours.
for what, kid in [("unknown", "r2"), ("in another case", "R1"), ("empty", ""), ("a path", "../../../../dev/null"),
                  ("a file", "/etc/passwd"), ("SQL", "r1' UNION SELECT 'key' --"), ("a command", "r1|/usr/bin/id"),
                  ("with a NUL", "r1\0"), ("a key that is not used for signatures", "enc1"),
                  ("a key of an unknown kind", "ed1"), ("a key of an unknown curve", "e521")]:
    bad("kid: %s" % what, token(header={"kid": kid}), KID)
bad("kid is a number", signed(header(kid="r1").replace(b'"r1"', b"1"), payload()), KID_TEXT)
bad("kid is null", signed(header(kid="r1").replace(b'"r1"', b"null"), payload()), KID_TEXT)
bad("no kid, several keys", token(header={"kid": None}), NO_KID)
bad("another kid, one key with a name", token(header={"kid": "r2"}), KID, verifier="one")
stranger = jwt.encode(claims(), STRANGER, algorithm="RS256", headers={"kid": "r1"})
bad("a stranger's RSA key under our kid", stranger, SIGNATURE)
bad("a key that was rotated out", jwt.encode(claims(), STRANGER, algorithm="RS256", headers={"kid": "r0"}), KID)
bad("a stranger's EC key", jwt.encode(claims(), STRANGER_P256, algorithm="ES256", headers={"kid": "e256"}), SIGNATURE)
bad("a stranger's secret", jwt.encode(claims(**plain), STRANGER_SECRET, algorithm="HS256"), SIGNATURE, verifier="secret")
brings = {"kid": "r1", "jwk": jwk(STRANGER, kid="r1", alg="RS256")}
bad("a key in its header", jwt.encode(claims(), STRANGER, algorithm="RS256", headers=brings), OWN_JWK)
bad("our own key in its header", token(header={"jwk": SET[0]}), OWN_JWK)
for name, rule in [("jku", JKU), ("x5u", X5U)]:
    fetched = {"kid": "r1", name: "https://stranger.example/keys"}
    bad("%s" % name, jwt.encode(claims(), STRANGER, algorithm="RS256", headers=fetched), rule)
bad("x5c", jwt.encode(claims(), STRANGER, algorithm="RS256", headers={"kid": "r1", "x5c": [b64(DER)]}), OWN_X5C)

# Its header.
bad("crit", token(header={"crit": ["exp"]}), CRIT)
bad("crit, empty", token(header={"crit": []}), CRIT)
bad("b64: false", signed(header(b64=False), payload()), B64)
bad("b64: false and crit", signed(header(b64=False, crit=["b64"]), payload()), CRIT)
bad("zip", token(header={"zip": "DEF"}), ZIP)
bad("a token in a token", token(header={"cty": "JWT"}), CTY)
for typ in ["logout+jwt", "dpop+jwt", "JWE", "", 1, None, ["JWT"]]:
    text = header(typ="@").replace(b'"@"', json.dumps(typ).encode())
    bad("typ %r" % (typ,), signed(text, payload()), TYPE)
bad("a key twice in the header", signed(b'{"alg":"none","alg":"RS256","kid":"r1"}', payload()), HEADER)
bad("a header that is no object", signed(b'["RS256"]', payload()), HEADER)
bad("a header that is no JSON", signed(b"RS256", payload()), HEADER)
bad("a header with a byte order mark", signed(b"\xef\xbb\xbf" + header(), payload()), HEADER)
bad("a header that is not UTF-8", signed(b'{"alg":"RS256","kid":"r1","x":"\xff"}', payload()), HEADER)
bad("a header nested 2,000 deep",
    signed(b'{"alg":"RS256","kid":"r1","x":' + b"[" * 2000 + b"]" * 2000 + b"}", b"{}"), HEADER)

# Its form.
fine = token("h1")
head, body, end = parts(fine)
bad("nothing", "", PARTS)
bad("two parts", head + "." + body, PARTS)
bad("four parts", fine + "." + end, PARTS)
bad("a dot more", fine + ".", PARTS)
bad("five parts, as an encrypted token has", ".".join([head, body, end, body, end]), PARTS)
bad("empty parts", "..", UNSIGNED)
bad("an empty header", "." + body + "." + end, HEADER)
bad("an empty signature", head + "." + body + ".", UNSIGNED)
bad("an empty payload", head + ".." + end, SIGNATURE)
bad("padding", fine + "=", BASE64)
signs = token("r1")
bad("the alphabet of base64", signs.replace("-", "+").replace("_", "/"), BASE64)
for what, text in [("a blank before", " " + fine), ("a line end after", fine + "\n"), ("a blank inside", head + " ." + body + "." + end),
                   ("a line end inside", head + ".\n" + body + "." + end), ("a NUL", fine + "\0"),
                   ("a letter that is not ASCII", head + "." + body + "." + end[:-1] + "é"),
                   ("a percent sign", head + "%2e" + "." + body + "." + end)]:
    bad(what, text, BASE64)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
for kid in ["h1", "r1", "e256"]:
    made = token(kid)
    bad("stray bits at the end of the signature, %s" % kid, made[:-1] + ALPHABET[ALPHABET.index(made[-1]) + 1], BASE64)
odd = signed(header() + b" " * (2 - len(header()) % 3), payload())
head, body, end = parts(odd)
bad("stray bits at the end of the header", head[:-1] + ALPHABET[ALPHABET.index(head[-1]) + 1] + "." + body + "." + end, BASE64)
bad("longer than 8 KiB", token(note="x" * 8192), LENGTH)
bad("100,000 parts", ".".join(["a"] * 100000)[:20000], LENGTH)
bad("a payload nested 10,000 deep", signed(header(), b'{"x":' + b"[" * 10000 + b"]" * 10000 + b"}"), LENGTH)

# Its signature.
head, body, end = parts(token("h1"))
bad("half a signature", head + "." + body + "." + b64(base64.urlsafe_b64decode(end + "=")[:16]), SIGNATURE)
bad("a signature and a byte", head + "." + body + "." + b64(base64.urlsafe_b64decode(end + "=") + b"\0"), SIGNATURE)
bad("another payload under the signature", head + "." + b64(payload(email="eve@example.com")) + "." + end, SIGNATURE)
bad("another header over the signature", b64(header("h1") + b" ") + "." + body + "." + end, SIGNATURE)
head, body, end = parts(token("r1"))
bad("an RSA signature one byte short", head + "." + body + "." + b64(base64.urlsafe_b64decode(end + "==")[1:]), SIGNATURE)
bad("an RSA signature of 1", head + "." + body + "." + b64(b"\0" * 255 + b"\1"), SIGNATURE)
bad("an RSA signature of 0", head + "." + body + "." + b64(bytes(256)), SIGNATURE)
numbers = RSA.private_numbers()
digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256((head + "." + body).encode()).digest()
for what, block in [("short padding and a tail", b"\0\1" + b"\xff" * 8 + b"\0" + digest),
                    ("padding that is not ones", b"\0\1" + b"\xff" * 100 + b"\xfe" + b"\xff" * 101 + b"\0" + digest),
                    ("padding for encryption", b"\0\2" + b"\xff" * 202 + b"\0" + digest),
                    ("no algorithm before the hash", b"\0\1" + b"\xff" * 221 + b"\0" + digest[-32:])]:
    block = block.ljust(256, b"\0")
    broken = pow(int.from_bytes(block, "big"), numbers.d, numbers.public_numbers.n).to_bytes(256, "big")
    bad("PKCS #1 with %s" % what, head + "." + body + "." + b64(broken), SIGNATURE)
good_block = (b"\0\1" + b"\xff" * 202 + b"\0" + digest)
assert b64(pow(int.from_bytes(good_block, "big"), numbers.d, numbers.public_numbers.n).to_bytes(256, "big")) == end
message = parts(token("e256"))[:2]
head, body = message
bad("an ECDSA signature in DER", head + "." + body + "." + b64(P256.sign((head + "." + body).encode(), ec.ECDSA(hashes.SHA256()))), SIGNATURE)
order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
for what, r, s in [("r = s = 0", 0, 0), ("r = s = n", order, order), ("r = 0, s = 1", 0, 1), ("r = s = 1", 1, 1)]:
    bad("ECDSA, %s" % what, head + "." + body + "." + b64(r.to_bytes(32, "big") + s.to_bytes(32, "big")), SIGNATURE)
bad("ECDSA, one byte", head + "." + body + "." + b64(b"\0"), SIGNATURE)
head, body, _ = parts(token("e384"))
bad("ES384, r = s = 0", head + "." + body + "." + b64(bytes(96)), SIGNATURE)
bad("the signature of another token", ".".join(parts(token("h1"))[:2] + [parts(token("h1", jti="2"))[2]]), SIGNATURE)

# Its payload.
bad("a payload that is no JSON", signed(header(), b"ada@example.com"), PAYLOAD)
bad("a payload that is an array", signed(header(), b"[" + payload() + b"]"), PAYLOAD)
bad("a payload that is null", signed(header(), b"null"), PAYLOAD)
bad("two payloads", signed(header(), payload() + payload()), PAYLOAD)
bad("a payload that is not UTF-8", signed(header(), raw(b'"x": "\xff"')), PAYLOAD)
bad("a payload nested 2,500 deep", signed(header(), raw(b'"x":' + b"[" * 2500 + b"]" * 2500)), PAYLOAD)
bad("a mailbox twice", signed(header(), raw(b'"email": "eve@example.com"')), PAYLOAD)
bad("exp twice", signed(header(), raw(b'"exp": 9999999999')), PAYLOAD)
bad("a key twice, deep down", signed(header(), raw(b'"x": [{"a": 1, "a": 2}]')), PAYLOAD)
bad("a key twice, once escaped", signed(header(), raw(b'"\\u0065mail": "eve@example.com"')), PAYLOAD)
bad("half a surrogate pair", signed(header(), raw(b'"x": "\\ud800"')), PAYLOAD)

# Its times.
bad("no exp", token(exp=None), NO_EXP)
for what, text in [("a text", b'"%d"' % (NOW + 300)), ("negative", b"-1"), ("null", b"null"), ("2^62", b"4611686018427387904"),
                   ("of milliseconds", b"%d000" % (NOW + 300)), ("1e300", b"1e300"), ("true", b"true"), ("an array", b"[]")]:
    bad("exp is %s" % what, signed(header(), raw(b'"exp": ' + text, exp=None)), EXP)
bad("exp is 1e400", signed(header(), raw(b'"exp": 1e400', exp=None)), PAYLOAD)
for text in [b"NaN", b"Infinity", b"0x7fffffff", b"+9999999999", b"09999999999"]:
    bad("exp is %s" % text.decode(), signed(header(), raw(b'"exp": ' + text, exp=None)), PAYLOAD)
bad("expired", token(exp=NOW - 60), EXPIRED)
bad("exp is 0", token(exp=0), EXPIRED)
bad("not valid yet", token(nbf=NOW + 61), NOT_YET)
bad("nbf is a text", signed(header(), raw(b'"nbf": "0"', nbf=None)), NBF)
bad("issued in the future", token(iat=NOW + 61), FUTURE)
bad("iat is null", signed(header(), raw(b'"iat": null', iat=None)), IAT)

# Whose it is, and for whom.
bad("no issuer", token(iss=None), ISS)
for what, issuer in [("another", "https://stranger.example"), ("longer", ISSUER + "/"), ("in another case", ISSUER.upper()),
                     ("empty", "")]:
    bad("issuer: %s" % what, token(iss=issuer), ISS)
bad("issuer: an array", signed(header(), payload(iss=[ISSUER])), ISS)
bad("no audience", token(aud=None), NO_AUD)
for what, audience in [("another", "other"), ("others", ["other", "deploy"]), ("none of them", []), ("part of it", AUDIENCE + "-2"),
                       ("in another case", AUDIENCE.upper())]:
    bad("audience: %s" % what, token(aud=audience), AUD)
for what, audience in [("a number", 1), ("an object", {AUDIENCE: True}), ("an array with a number", [AUDIENCE, 1]), ("true", True)]:
    bad("audience: %s" % what, signed(header(), payload(aud=audience)), AUD_TYPE)
bad("an audience, and nobody said who we are", token(None, iss=None), AUD_UNSET, verifier="secret")
bad("no audiences, and nobody said who we are", token(None, iss=None, aud=[]), AUD_UNSET, verifier="secret")

# Who it is.
for what, email in [("no mailbox", "ada"), ("two mailboxes", "ada@example.com,eve@example.com"), ("with a name", "Ada <ada@example.com>"),
                    ("with a line end", "ada@example.com\r\nIdentity: eve@example.com"), ("empty", ""), ("an array", ["ada@example.com"]),
                    ("a number", 1), ("Cyrillic", "\u0430da@example.com"), ("too long", "a" * 250 + "@example.com")]:
    bad("email: %s" % what, signed(header(), payload(email=email)), EMAIL)
bad("email: null", signed(header(), raw(b'"email": null', email=None)), EMAIL)
for verified in [False, "false", "yes", 1, 0, []]:
    bad("email_verified is %r" % (verified,), token(email_verified=verified), UNVERIFIED)
bad("a subject that is a mailbox which is not verified", token(sub="bob@example.com", email=None, email_verified=False), UNVERIFIED)
bad("nobody", token(sub=None, email=None), NOBODY)
for what, subject in [("empty", ""), ("with a line end", "u1\r\nIdentity: eve@example.com"), ("a blank", " "), ("a blank before", " u1"),
                      ("not ASCII", "größe"), ("with a NUL", "u1\0"), ("half a mailbox", "eve@"), ("more than a mailbox", "eve@evil.example@example.com"),
                      ("too long", "s" * 255), ("with a mark that turns the writing", "u1\u202e")]:
    bad("subject: %s" % what, token(sub=subject, email=None), SUB)
bad("subject: a number", signed(header(), payload(sub=1, email=None)), SUB)
for what, groups in [("a text", "data"), ("an object", {"data": True}), ("with a number", ["data", 1]), ("with an empty one", [""]),
                     ("with a line end", ["data\n"]), ("too many", ["g"] * 257), ("too long", ["g" * 257]), ("nested", [["data"]])]:
    bad("groups: %s" % what, signed(header(), payload(groups=groups)), GROUPS)
bad("groups: null", signed(header(), raw(b'"groups": null')), GROUPS)

names = [case["name"] for case in CASES]
assert len(names) == len(set(names)), [name for name in names if names.count(name) > 1]
what = "Written by pyjwt_tokens.py with PyJWT %s; not to be edited." % jwt.__version__
json.dump({"what": what, "now": NOW, "verifiers": VERIFIERS, "cases": CASES}, sys.stdout, indent=1)
print()
