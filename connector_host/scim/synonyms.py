"""What people call the columns of a user table, as data: phrase to SCIM path, and the types that fit.

A phrase is written in words and looked up without spaces, so `first name` covers first_name, FirstName and FIRSTNAME.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from connector_host.connectors.contract import AttributeType, RefusalKind
from connector_host.scim.vocabulary import ENTERPRISE

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXT: Final = frozenset({AttributeType.STRING})
_TEXT_OR_NUMBER: Final = frozenset({AttributeType.STRING, AttributeType.INTEGER})
_TRUTH: Final = frozenset({AttributeType.BOOLEAN})


@dataclass(frozen=True, slots=True)
class Synonym:
    """One usual name of one SCIM attribute."""

    phrase: str
    path: str
    types: frozenset[AttributeType]
    weight: float
    """How surely the phrase means this path, from 0 to 1."""


# Above the dashes stands what surely means the path, below what may mean it; commas or line ends part the phrases.
_ROWS: Final = (
    (
        "userName",
        _TEXT,
        """
        user name, login, login name, logon, logon name, user login, user principal name, principal name,
        upn, sam account name, account name
        ----
        account, user, userid, user id, uid, login id, nt account, handle
        """,
    ),
    (
        "externalId",
        _TEXT,
        """
        external id, azure id, azure ad id, azure object id, aad id, aad object id, entra id,
        entra object id, object id, object guid, immutable id, directory id
        ----
        okta id, idp id, external key, external ref
        """,
    ),
    (
        "name.givenName",
        _TEXT,
        """
        given name, first name, fname, forename, given names, vorname, prenom, prénom, nombre
        ----
        first, f name, givenname local, rufname
        """,
    ),
    (
        "name.familyName",
        _TEXT,
        """
        family name, last name, lname, surname, sur name, nachname, familienname, nom de famille, apellido,
        apellidos, sn
        ----
        last, l name, nom
        """,
    ),
    (
        "name.middleName",
        _TEXT,
        """
        middle name, mname, second name, middle names
        ----
        middle, middle initial, mi
        """,
    ),
    (
        "name.formatted",
        _TEXT,
        """
        formatted name, complete name
        ----
        full name
        """,
    ),
    (
        "name.honorificPrefix",
        _TEXT,
        """
        honorific prefix, name prefix, salutation, anrede
        ----
        honorific
        """,
    ),
    (
        "name.honorificSuffix",
        _TEXT,
        """
        honorific suffix, name suffix
        ----
        suffix
        """,
    ),
    (
        "displayName",
        _TEXT,
        """
        display name, displayed name, anzeigename
        ----
        name, full name, common name, cn, screen name
        """,
    ),
    (
        "nickName",
        _TEXT,
        """
        nick name, mail nickname, known as, preferred name
        ----
        nick, alias
        """,
    ),
    (
        "profileUrl",
        _TEXT,
        """
        profile url, profile link
        ----
        home page, homepage, web site, website, url
        """,
    ),
    (
        "title",
        _TEXT,
        """
        title, job title, position title, business title, job name
        ----
        position, job, role title, function
        """,
    ),
    (
        "userType",
        _TEXT,
        """
        user type, employee type, employment type, account type, worker type
        ----
        person type, emp type
        """,
    ),
    (
        "preferredLanguage",
        _TEXT,
        """
        preferred language, language code, user language
        ----
        language, lang
        """,
    ),
    (
        "locale",
        _TEXT,
        """
        locale, locale code, culture
        """,
    ),
    (
        "timezone",
        _TEXT,
        """
        time zone, tz
        """,
    ),
    (
        "active",
        _TRUTH,
        """
        active, is active, enabled, is enabled, account enabled, user active, active flag, is active flag,
        enabled flag, account active
        ----
        status, is employed, employed, aktiv, current, actif, activo
        """,
    ),
    (
        'emails[type eq "work"].value',
        _TEXT,
        """
        email, mail, email address, mail address, emails, work email, work mail, business email,
        office email, company email, corporate email, primary email, email work, email 1,
        primary smtp address, smtp address
        ----
        courriel, correo, contact email
        """,
    ),
    (
        'emails[type eq "home"].value',
        _TEXT,
        """
        home email, private email, personal email, email home, email private, private mail
        ----
        email 2, secondary email, recovery email, other email, alternate email
        """,
    ),
    (
        'phoneNumbers[type eq "work"].value',
        _TEXT_OR_NUMBER,
        """
        phone, phone number, telephone, telephone number, work phone, business phone, office phone,
        work phone number, tel, phone work, desk phone
        ----
        extension number, phone 1, contact number, telefon
        """,
    ),
    (
        'phoneNumbers[type eq "mobile"].value',
        _TEXT_OR_NUMBER,
        """
        mobile, mobile phone, mobile number, cell, cell phone, cellphone, mobile phone number, cell number,
        phone mobile
        ----
        handy, gsm, portable, mobil
        """,
    ),
    (
        'phoneNumbers[type eq "home"].value',
        _TEXT_OR_NUMBER,
        """
        home phone, private phone, home phone number, phone home
        ----
        phone 2
        """,
    ),
    (
        'phoneNumbers[type eq "fax"].value',
        _TEXT_OR_NUMBER,
        """
        fax, fax number, facsimile, facsimile telephone number
        """,
    ),
    (
        'addresses[type eq "work"].formatted',
        _TEXT,
        """
        full address, formatted address
        ----
        address
        """,
    ),
    (
        'addresses[type eq "work"].streetAddress',
        _TEXT,
        """
        street, street address, address line 1, address line, strasse, straße
        ----
        address 1
        """,
    ),
    (
        'addresses[type eq "work"].locality',
        _TEXT,
        """
        city, town, locality, ort, ciudad, ville
        ----
        office city, office location
        """,
    ),
    (
        'addresses[type eq "work"].region',
        _TEXT,
        """
        region, province, state province, state or province, county, bundesland
        ----
        state
        """,
    ),
    (
        'addresses[type eq "work"].postalCode',
        _TEXT_OR_NUMBER,
        """
        postal code, post code, zip, zip code, plz
        """,
    ),
    (
        'addresses[type eq "work"].country',
        _TEXT,
        """
        country, country code, usage location, country name
        ----
        land, pais
        """,
    ),
    (
        f"{ENTERPRISE}:employeeNumber",
        _TEXT_OR_NUMBER,
        """
        employee number, employee no, employee id, emp no, emp id, emp number, personnel number,
        personnel no, staff number, staff id, staff no, payroll number, payroll id, personalnummer,
        matricule
        ----
        badge number, worker id, person number, hr id
        """,
    ),
    (
        f"{ENTERPRISE}:department",
        _TEXT,
        """
        department, dept, department name, dept name, abteilung, departement, departamento
        ----
        team, org unit, organizational unit, business unit
        """,
    ),
    (
        f"{ENTERPRISE}:division",
        _TEXT,
        """
        division, division name
        ----
        sector, segment
        """,
    ),
    (
        f"{ENTERPRISE}:organization",
        _TEXT,
        """
        organization, organisation, organization name, organisation name, company, company name
        ----
        org, firm, employer, firma
        """,
    ),
    (
        f"{ENTERPRISE}:costCenter",
        _TEXT_OR_NUMBER,
        """
        cost center, cost centre, cost center code, cost centre code, kostenstelle
        ----
        cc
        """,
    ),
)

SURE: Final = 1.0
PERHAPS: Final = 0.8


def _lookup() -> Mapping[str, tuple[Synonym, ...]]:
    table: dict[str, tuple[Synonym, ...]] = {}
    for path, types, text in _ROWS:
        sure, _, perhaps = text.partition("----")
        for phrases, weight in ((sure, SURE), (perhaps, PERHAPS)):
            for phrase in filter(None, (part.strip() for part in phrases.replace("\n", ",").split(","))):
                key = phrase.replace(" ", "")
                table[key] = (*table.get(key, ()), Synonym(phrase, path, types, weight))
    return MappingProxyType(table)


SYNONYMS: Final = _lookup()
"""The phrase without spaces to everything that it may mean."""

LEADING_WORDS: Final = frozenset(
    {
        "user", "usr", "emp", "employee", "person", "pers", "staff", "worker", "member", "contact", "account", "acct",
        "hr", "ad", "app", "tbl", "fld", "col", "str", "txt", "vc", "chr", "bit", "bool", "b", "s", "c", "f", "t", "u",
        "p", "work", "business", "current", "primary", "the", "my",
    }
)  # fmt: skip
"""First words that say whose or of which type a column is, and not what it holds."""

REFUSED: Final[Mapping[str, RefusalKind]] = MappingProxyType(
    dict.fromkeys(
        ("manager", "managerid", "managerlogin", "manageremail", "managername", "supervisor", "supervisorid",
         "reportsto", "boss", "bossid", "linemanager", "members"), RefusalKind.REFERENCE,
    )
    | dict.fromkeys(("groups", "groupids", "memberof"), RefusalKind.GROUP)
)  # fmt: skip
"""Phrases for what is never exported (DESIGN §2.2)."""

OPPOSITES: Final = frozenset(
    {
        "inactive", "isinactive", "disabled", "isdisabled", "accountdisabled", "locked", "islocked", "lockedout",
        "deleted", "isdeleted", "terminated", "isterminated", "suspended", "issuspended", "blocked", "isblocked",
    }
)  # fmt: skip
"""Phrases that are true where `active` is false; SCIM has no attribute for them."""
