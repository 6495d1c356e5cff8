"""The fields of imported records, and the names that other programs give their columns. Pure.

Sources: the exports of Mailchimp, Constant Contact, HubSpot, Raiser's Edge NXT and Salesforce.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

RecordKind = Literal["emails", "users", "donations"]
FieldNames = Mapping[str, Sequence[str]]

_PERSON: FieldNames = {
    "email": (
        *("Email Address", "E-mail", "E-mail Address", "EmailAddress", "Email address 1"),
        *("Primary Email", "Primary email address", "Preferred Email", "Contact Email"),
        *("Constituent email address", "Donor Email", "Recipient Email", "Work Email"),
        *("Email: Primary", "E-Mail-Adresse"),
    ),
    "name": (
        *("Full Name", "Contact Name", "Constituent Name", "Constituent", "Donor", "Donor Name"),
        *("Recipient", "Recipient Name", "Primary Contact", "Contact: Full Name", "Display Name"),
    ),
    "first_name": ("First", "Given Name", "Contact: First Name", "Donor First Name", "Vorname"),
    "last_name": (
        *("Last", "Surname", "Family Name", "Contact: Last Name", "Donor Last Name"),
        *("Last/Organization/Group Name", "Nachname"),
    ),
}
# A column of the user's attributes. Several columns can have this field.
ATTRIBUTE_FIELD = "attribute"
_PARENTS: FieldNames = {
    "fundraiser_id": ("Fundraiser", "Matchback Fundraiser ID"),
    "mailing_id": ("Mailing", "Matchback Mailing ID"),
}
FIELDS: Mapping[RecordKind, FieldNames] = {
    "users": {**_PERSON, ATTRIBUTE_FIELD: ()},
    "emails": {
        **_PERSON,
        **_PARENTS,
        ATTRIBUTE_FIELD: (),
        "user_id": ("Matchback User ID",),
        "sent_at": ("Sent", "Send Date", "Sent Date", "Date Sent", "Send Time", "Email Date"),
        "arm": ("Experiment Arm", "Test Arm", "Matchback Arm"),
    },
    "donations": {
        **_PERSON,
        **_PARENTS,
        "email_id": ("Matchback Email ID", "Link Token", "link_token"),
        "external_id": (
            *("Gift ID", "Donation ID", "Transaction ID", "Opportunity ID", "Payment ID"),
            *("Gift System Record ID", "Gift Import ID", "Gift Number", "Transaction Number"),
            *("Receipt Number", "Order ID", "Deal ID", "Record ID"),
        ),
        "amount": (
            *("Gift Amount", "Donation Amount", "Transaction Amount", "Opportunity Amount"),
            *("Amount Paid", "Payment Amount", "Total Amount", "Gross Amount", "Betrag"),
        ),
        "currency": (
            *("Currency Code", "Gift Currency", "Amount Currency", "Opportunity Currency"),
            *("Currency ISO Code", "CurrencyIsoCode", "Transaction Currency", "Währung"),
        ),
        "donated_at": (
            *("Gift Date", "Donation Date", "Transaction Date", "Date", "Date Received"),
            *("Received Date", "Payment Date", "Close Date", "Date of Gift", "Datum"),
        ),
        "status": ("Gift Status", "Donation Status", "Payment Status", "Transaction Status"),
        "recurring_id": ("Recurring Gift ID", "Recurring Donation", "Recurring Plan ID"),
    },
}
REQUIRED: Mapping[RecordKind, Sequence[str]] = {
    "users": ("email",),
    "emails": ("email or user_id",),
    "donations": ("amount",),
}
