"""A private slapd of Debian's on a free port, with people in it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from pathlib import Path

SLAPD = shutil.which("slapd") or "/usr/sbin/slapd"
SUFFIX = "dc=example,dc=org"
LOGIN = f"cn=admin,{SUFFIX}"
PASSWORD = "a directory's p@ss"

CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.4203.666.1 NAME 'adAccount' SUP top AUXILIARY MAY userAccountControl )
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCertificateFile {folder}/certificate.pem
TLSCertificateKeyFile {folder}/key.pem
sizelimit size.soft=10 size.hard=10 size.prtotal=unlimited
database mdb
suffix "{suffix}"
rootdn "{login}"
rootpw "{password}"
directory {folder}/data
index objectClass,entryUUID,modifyTimestamp eq
access to * by dn.base="cn=reader,{suffix}" read by anonymous auth
"""

BASE = f"""dn: {SUFFIX}
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: cn=reader,{SUFFIX}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: {PASSWORD}

"""


def available() -> str | None:
    """Return why there is no directory here, None where there is one."""
    if not Path(SLAPD).exists() or shutil.which("ldapadd") is None:
        return "slapd or ldap-utils is not installed"
    try:
        import bonsai  # noqa: F401 - only whether it is there
    except ImportError:
        return "bonsai is not installed: it needs a compiler, libldap2-dev and libsasl2-dev"
    return None


class Directory:
    """One slapd."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as secure:
            self.url = f"ldap://127.0.0.1:{free.getsockname()[1]}"
            self.secure_url = f"ldaps://127.0.0.1:{secure.getsockname()[1]}"

    def start(self) -> None:
        (self.folder / "data").mkdir()
        text = CONFIGURATION.format(folder=self.folder, suffix=SUFFIX, login=LOGIN, password=PASSWORD)
        (self.folder / "slapd.conf").write_text(text)
        urls = f"{self.url}/ {self.secure_url}/"
        command = [SLAPD, "-d", "0", "-h", urls, "-f", str(self.folder / "slapd.conf")]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port = int(self.url.rsplit(":", 1)[1])
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        self.change("ldapadd", BASE)

    def change(self, program: str, ldif: str) -> None:
        command = [program, "-x", "-H", self.url, "-D", LOGIN, "-w", PASSWORD]
        subprocess.run(command, input=ldif.encode(), check=True, capture_output=True)

    def add(self, uid: str, **attributes: str) -> None:
        lines = "".join(f"{name}: {value}\n" for name, value in attributes.items())
        self.change(
            "ldapadd",
            f"dn: uid={uid},{SUFFIX}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid.upper()}\n{lines}\n",
        )

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
