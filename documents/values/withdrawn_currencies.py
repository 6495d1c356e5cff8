"""Currencies that ISO 4217 has withdrawn, with their minor units. Gifts keep them forever.

ISO 4217 lists withdrawn currencies in its List Three, which gives no minor units. A code that is
active again keeps its minor unit.
"""

# Minor units from ISO 4217 while it listed the code, as OpenJDK records them. CLDR's digits do not
# fit here. They define how to round prices, and differ for SLL and STD.
# Source:
# https://github.com/openjdk/jdk/blob/master/src/java.base/share/data/currency/currency.properties
_BY_ISO = {
    0: "ADP BEF BYB BYR ESP GRD ITL LUF MGF PTE ROL TPE TRL",
    2: (
        "AFA ANG ATS AYM AZM BGL BGN CSD CUC CYP DEM EEK FIM FRF GHC GWP HRK IEP LTL LVL MRO MTL "
        "MZM NLG RUR SDD SIT SKK SLL SRG STD TMM USS VEB VEF YUM ZMK ZWD ZWL ZWN ZWR"
    ),
}
# Older codes. Source: the digits of https://github.com/unicode-org/cldr, supplementalData.xml.
_BY_CLDR = {
    2: (
        "ALK AOK AON AOR ARA ARP BAD BOP BRB BRC BRE BRN BRR BUK CSK DDM ECS ECV GEK GNS GQE "
        "GWE HRD ILP ILR ISJ LTT LVR MLF MTP MXP MZE NIC PEI PES PLZ RHD SDP SUR TJR UAK UGS UYP "
        "XEU YUD YUN ZAL ZRN ZRZ"
    ),
}
# Codes that neither source has, or that share the coins of a currency above. Most have hundredths.
# The financial francs and pesetas have none, and the Yemeni dinar has 1,000 fils.
_BY_COINAGE = {
    0: "BEC BEL ESA ESB LUC LUL",
    2: "ARY BGJ BGK CHC CSJ GHP GNE LAJ LSM MVQ PEH ROK UGW UYN VNC ZWC",
    3: "YDD",
}

WITHDRAWN_DECIMALS = {
    code: exponent
    for source in (_BY_COINAGE, _BY_CLDR, _BY_ISO)
    for exponent, codes in source.items()
    for code in codes.split()
}
# In List Three, but without a minor unit: the gold franc, the UIC franc and RINET.
NON_MONEY_CODES = frozenset({"XFO", "XFU", "XRE"})
