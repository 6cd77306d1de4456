"""What an authority hands out is put in place in whatever form it came, or refused with nothing changed."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12

from connector_host.errors import ConfigurationError, Level, failures
from connector_host.tls.bundles import arrange, read_bundle
from connector_host.tls.files import UnusableFile, check_identity, load_chain, load_key
from connector_host.tls.installing import install, write_request
from connector_host.tls.issuing import Issued, issue_authority, issue_leaf, make_key
from tests.tls.certificates import NOW, X400_NAME, armoured, issue_between, odd_certificates, self_signed

DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM
ROOT = issue_authority("root", NOW)
LEAF = issue_leaf(ROOT, "hr.example.org", NOW)
RSA = issue_leaf(Issued(ROOT.certificate, ROOT.key), "hr.example.org", NOW, key=make_key("rsa"))
OTHER = issue_leaf(ROOT, "crm.example.org", NOW, key=LEAF.key)
WORD = b"open sesame"


def p12(issued=LEAF, word=WORD, *, key=True):
    encryption = serialization.BestAvailableEncryption(word) if word else serialization.NoEncryption()
    return pkcs12.serialize_key_and_certificates(
        b"hr", issued.key if key else None, issued.certificate, [ROOT.certificate], encryption
    )


def encrypted_key(word=WORD):
    return LEAF.key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(word))


DER_KEY = LEAF.key.private_bytes(DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
SEC1_KEY = LEAF.key.private_bytes(PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
LEAF_DER = LEAF.certificate.public_bytes(DER)
P7B = pkcs7.serialize_certificates([ROOT.certificate, LEAF.certificate], DER)
P7B_PEM = pkcs7.serialize_certificates([ROOT.certificate, LEAF.certificate], PEM)
SORTED = b"".join(sorted((LEAF_DER, ROOT.certificate.public_bytes(DER))))
UNSORTED = b"".join(sorted((LEAF_DER, ROOT.certificate.public_bytes(DER)), reverse=True))
P7B_UNSORTED = P7B.replace(SORTED, UNSORTED)
P7B_PEM_UNSORTED = b"-----BEGIN PKCS7-----\n" + base64.encodebytes(P7B_UNSORTED) + b"-----END PKCS7-----\n"
assert P7B_UNSORTED != P7B  # as `openssl crl2pkcs7` writes it


BETWEEN = issue_between(ROOT, "between")
BELOW = issue_leaf(BETWEEN, "hr.example.org", NOW)
ALONE = Issued(*self_signed("hr.example.org"))


class Place:
    """Where the host reads from, and files that arrive."""

    def __init__(self, folder):
        self.folder, self.certificate, self.key = folder, folder / "certificate.pem", folder / "key.pem"

    def put(self, *contents, word=WORD):
        files = []
        for number, content in enumerate(contents):
            files.append(self.folder / f"arrived-{number}")
            files[-1].write_bytes(content)
        return install(files, self.certificate, self.key, "hr.example.org", NOW, ask=lambda: word)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.mark.parametrize(
    "contents",
    [
        [LEAF.certificate_pem, LEAF.key_pem],
        [LEAF.key_pem + LEAF.certificate_pem],
        [ROOT.certificate_pem + LEAF.certificate_pem, LEAF.key_pem],
        [b"Bag Attributes\n    friendlyName: hr\n" + LEAF.certificate_pem, SEC1_KEY],
        [LEAF.certificate_pem, encrypted_key()],
        [LEAF_DER, DER_KEY],
        [P7B, LEAF.key_pem],
        [P7B_PEM, LEAF.key_pem],
        [P7B_UNSORTED, LEAF.key_pem],
        [P7B_PEM_UNSORTED, LEAF.key_pem],
        [p12()],
        [p12(word=None)],
    ],
)  # fmt: skip
def test_every_form_is_taken(place, contents):
    assert failures(place.put(*contents)) == []
    assert load_chain(place.certificate) == (LEAF.certificate,)
    assert failures(check_identity(place.certificate, place.key, "hr.example.org", NOW)) == []
    assert place.key.stat().st_mode & 0o777 == 0o600


def chain_warnings(findings):
    return [finding for finding in findings if finding.subject == "chain" and finding.level is Level.WARNING]


def test_a_certificate_whose_issuer_is_missing_is_put_in_place_with_a_warning_that_names_the_issuer(place):
    [warning] = chain_warnings(place.put(BELOW.certificate_pem, BELOW.key_pem))
    assert "CN=between" in warning.fact
    assert "ISSUER" in warning.mend
    assert load_chain(place.certificate) == (BELOW.certificate,)


@pytest.mark.parametrize(
    "contents",
    [
        [BELOW.certificate_pem + BETWEEN.certificate_pem, BELOW.key_pem],
        [BELOW.certificate_pem, BETWEEN.certificate_pem + ROOT.certificate_pem, BELOW.key_pem],
        [LEAF.certificate_pem + ROOT.certificate_pem, LEAF.key_pem],
        [ALONE.certificate_pem, ALONE.key_pem],
    ],
)
def test_a_chain_that_goes_on_or_ends_is_put_in_place_without_a_warning(place, contents):
    assert chain_warnings(place.put(*contents)) == []


def test_issuers_are_put_in_order_and_the_root_is_left_out(tmp_path):
    files = [tmp_path / name for name in ("a", "b")]
    files[0].write_bytes(ROOT.certificate_pem + RSA.certificate_pem)
    files[1].write_bytes(RSA.key_pem)
    identity = arrange(read_bundle(files))
    assert identity.chain == (RSA.certificate,)
    assert isinstance(identity.key, rsa.RSAPrivateKey)


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ([p12(word=b"other")], "with this passphrase"),
        ([LEAF.certificate_pem, encrypted_key(b"other")], "with this passphrase"),
        ([p12(key=False)], "no private key"),
        ([LEAF.certificate_pem], "no private key"),
        ([LEAF.key_pem], "no certificate"),
        ([LEAF.certificate_pem, ROOT.key_pem], "belongs to none"),
        ([LEAF.certificate_pem[:-30], LEAF.key_pem], "cut off"),
        ([LEAF.certificate_pem.replace(b"M", b"N"), LEAF.key_pem], "cannot be read"),
        ([b"hello"], "neither PEM, DER"),
        ([LEAF_DER[:200], LEAF.key_pem], "is cut off"),
        ([OTHER.certificate_pem, LEAF.key_pem], "not for hr.example.org"),
    ],
)  # fmt: skip
def test_what_cannot_serve_is_refused_and_the_old_state_stays(place, contents, words):
    place.put(p12())
    before = (place.certificate.read_bytes(), place.key.read_bytes())
    with pytest.raises(UnusableFile, match=words):
        place.put(*contents)
    assert (place.certificate.read_bytes(), place.key.read_bytes()) == before


def test_a_passphrase_is_asked_for_only_where_one_is_needed(place):
    def never():
        raise AssertionError("Nobody should be asked.")

    (place.folder / "plain").write_bytes(p12(word=None))
    assert install([place.folder / "plain"], place.certificate, place.key, "hr.example.org", NOW, ask=never)
    (place.folder / "sealed").write_bytes(p12())
    with pytest.raises(UnusableFile, match="passphrase"):
        install([place.folder / "sealed"], place.certificate, place.key, "hr.example.org", NOW, ask=lambda: None)


def test_what_was_there_is_kept_beside_it(place):
    place.put(LEAF.certificate_pem, LEAF.key_pem)
    place.put(RSA.certificate_pem, RSA.key_pem)
    assert load_chain(place.folder / "certificate.pem.old") == (LEAF.certificate,)
    assert load_key(place.folder / "key.pem.old")


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_a_request_names_every_name_and_does_not_touch_what_serves(place, kind):
    place.put(p12())
    made = write_request(place.folder, "hr.example.org", ["10.0.0.5"], kind=kind)
    request = x509.load_pem_x509_csr(made.request.read_bytes())
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert request.is_signature_valid
    assert [str(name.value) for name in names] == ["hr.example.org", "10.0.0.5"]
    assert load_key(made.key).public_key() == request.public_key()
    assert load_chain(place.certificate) == (LEAF.certificate,)


def test_a_request_that_is_pending_keeps_its_key(tmp_path):
    made = write_request(tmp_path, "hr.example.org", [], kind="ecdsa")
    before = (made.request.read_bytes(), made.key.read_bytes())
    with pytest.raises(FileExistsError, match=r"request-key\.pem exists"):
        write_request(tmp_path, "hr.example.org", [], kind="ecdsa")
    assert (made.request.read_bytes(), made.key.read_bytes()) == before
    write_request(tmp_path, "hr.example.org", [], kind="ecdsa", replace=True)
    old = tuple(path.with_name(f"{path.name}.old") for path in (made.request, made.key))
    assert tuple(path.read_bytes() for path in old) == before
    assert made.key.read_bytes() != before[1]


def test_a_request_for_no_name_is_refused(tmp_path):
    with pytest.raises(ConfigurationError):
        write_request(tmp_path, "two words", [], kind="ecdsa")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["curve", "kind of key", "signature", "version", "X.400 name"])
@pytest.mark.parametrize("form", [DER, PEM])
def test_a_certificate_with_something_that_nobody_knows_is_refused(place, what, form):
    if what == "X.400 name":
        certificate, key = self_signed(extensions=[X400_NAME])
        der, key_file = certificate.public_bytes(DER), Issued(certificate, key).key_pem
    else:
        der, key_file = odd_certificates(LEAF.certificate)[what], LEAF.key_pem
    words = {"signature": "algorithm", "version": "not a valid X509 version", "X.400 name": "x400Address"}
    with pytest.raises(UnusableFile, match=words.get(what, "kind of key")):
        place.put(der if form is DER else armoured(der), key_file)
    assert not place.certificate.exists()
