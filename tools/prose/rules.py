"""The rules of the check: words and forms that confuse readers, each with advice for a writer."""

import re

MAX_SENTENCE_WORDS = 25
# Each pattern with the advice for a writer.
DENIED = [
    (r"(?<!too early to )\b(tell|tells|told|telling)\b", "write report, return, show or expose"),
    (r"\b(says?|said|saying)\b", "write report, state or show"),
    (r"\b(whoever|whomever|whosever)\b", "name the actor"),
    (r"\b(nobody|somebody|anybody|everybody)\b", "name the actor"),
    (r"\banew\b", "write again"),
    (r"\bby and by\b", "write gradually, or in the background"),
    (r"\bfor ever\b", "write forever"),
    (r"\bat the (most|least)\b", "write at most or at least"),
    (r"\b(mend|mends|mended|mending)\b", "write fix"),
    (r"(?<!connection )\b(refuse|refuses|refusing|refusal|refusals)\b", "write reject"),
    (r"(?<!connection )(?<!connections )\brefused\b(?!( the)? connection)", "write rejected"),
    (r"\b(is|are|was|were|be|being|been) away\b(?! from)", "write unavailable"),
    (r"\b(is|are) to be\b", "write must be, or name who does it"),
    (r"\bshould (it|they|we|he|she|this|that|one)\b", "write if"),
    (r"\bof which\b", "begin a new sentence"),
    (r"\bbecame? of\b", "write the status or the result of"),
    (r"\belse (there|it|they|this|a|the) ", "write otherwise"),
    (r", for (it|they|there|he|she|we|nothing|no) ", "write because"),
    (r"(?<![Tt]here )\bis no (?!longer|more\b|other\b|-)", "write is not"),
    (r"\bcounters? (is |are )?off\b|\bis off\b(?! )", "write incorrect"),
    (r"\bleft out\b", "write omitted"),
    (r"\bin vain\b", "write without success"),
    (r"\bthe same of\b", "name what is meant"),
    (r"[«»]", "quote with “…” or `code`"),
    (r"\bnone the less\b|\bhowever many\b|\bso many at\b", "use a plain form"),
    (r";[^;.!?]*;", "make a list, or more sentences"),
    (r"^(What|Who|Whose) [^?]*\.$", "begin with a subject or an imperative"),
    (r"^(Where|When|Whether|How|Which) [^?,]*\.$", "begin with a subject or an imperative"),
]
RULES = [
    (re.compile(pattern, 0 if pattern.startswith("^") else re.IGNORECASE), advice)
    for pattern, advice in DENIED
]
