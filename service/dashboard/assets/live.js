// @ts-check
// Updates an open page. The service reports that a record has changed; the script then fetches the
// page again and changes what differs. The server formats every figure and text.
(() => {
  "use strict";
  const STALE_MS = 25_000; // the service says something every 10 s
  const PAUSE_MS = 1_000, AGAIN_MS = 5_000; // after a fetch, and after one that failed
  const WAIT_MS = 2_000, LONGEST_WAIT_MS = 60_000; // before a refused stream is tried again
  const MOVED_MS = 1_500;

  const line = document.getElementById("live");
  const every = Number(document.body.dataset.every);
  /** @type {EventSource | null} */
  let source = null;
  let reopening = 0, silence = 0, wait = WAIT_MS, behind = 0;
  let isAway = false, isFailing = false, isFetching = false, isWanted = false;
  let heardAt = new Date(), body = "";

  const { locale, zone } = line?.dataset ?? {};
  const words = document.documentElement.lang;
  const clock = (at = heardAt) =>
    new Intl.DateTimeFormat(locale, { timeStyle: "short", timeZone: zone }).format(at);
  const long = (/** @type {number} */ seconds) =>
    new Intl.NumberFormat(words, { style: "unit", unit: "second", unitDisplay: "long" }).format(seconds);

  /** Show the page's text for a state. @param {string} state */
  function say(state, at = heardAt) {
    if (!line) return;
    line.dataset.state = state;
    const text = (line.dataset[state] ?? "")
      .replace("{time}", clock(at)).replace("{duration}", long(behind));
    if (line.textContent !== text) line.textContent = text; // each change is read out
  }

  const isGone = () => line?.dataset.state === "gone";
  const sayStale = () => say("stale");
  function sayHowItIs() {
    if (isAway) say("away");
    else if (isFailing) sayStale();
    else if (behind) say("behind");
    else say("live");
  }

  // The stream. Only while somebody looks: a browser has six connections to a host.

  function open() {
    const watch = document.body.dataset.watch;
    if (!watch || source || document.hidden) return;
    // ":" and "," stay as they are: a hundred ids must fit into a request line.
    source = new EventSource(`/dashboard/live?watch=${encodeURI(watch)}`);
    source.onerror = lose;
    for (const [name, act] of Object.entries(acts)) {
      source.addEventListener(name, (event) => hear(act, JSON.parse(event.data)));
    }
    silence = setTimeout(sayStale, STALE_MS);
  }

  /** @type {Record<string, (told: any) => void>} */
  const acts = {
    hello: (told) => { behind = told.behind_seconds; isAway = false; wait = WAIT_MS; refresh(); },
    changed: refresh,
    behind: (told) => { behind = told.behind_seconds; if (every) refresh(); },
    away: () => { isAway = true; }, back: () => { isAway = false; },
    beat: () => {}, bye: () => location.reload(),
  };

  /** @param {(told: any) => void} act @param {any} told */
  function hear(act, told) {
    clearTimeout(silence);
    silence = setTimeout(sayStale, STALE_MS);
    act(told);
    if (!isAway && !isFailing) heardAt = new Date();
    sayHowItIs();
  }

  function close() {
    [silence, reopening].forEach(clearTimeout);
    source?.close();
    source = null;
  }

  function lose() {
    clearTimeout(silence);
    if (!isGone()) say("gone", new Date());
    if (source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    close();
    refresh(); // perhaps nobody is signed in any more
    reopening = setTimeout(open, wait * (0.75 + Math.random() / 2));
    wait = Math.min(2 * wait, LONGEST_WAIT_MS);
  }

  // The page anew: at most once a second, and once more for what changed meanwhile.

  async function refresh() {
    isWanted = true;
    if (isFetching) return;
    isFetching = true;
    while (isWanted && !document.hidden) {
      isWanted = false;
      isFailing = !(await fetchPage().catch(() => false));
      if (source && !isGone()) sayHowItIs();
      isWanted ||= isFailing && source !== null;
      await new Promise((done) => setTimeout(done, isFailing ? AGAIN_MS : PAUSE_MS));
    }
    isFetching = false;
  }

  async function fetchPage() {
    const headers = { "X-Refresh": "1" }; // nobody's doing: a session that is not used ends
    const how = { headers, credentials: "same-origin", cache: "no-cache", redirect: "manual" };
    const answer = await fetch(location.href, /** @type {RequestInit} */ (how));
    if (answer.type === "opaqueredirect" || [401, 403].includes(answer.status)) location.reload();
    if (!answer.ok) return false;
    const text = await answer.text();
    if (text !== body) show(new DOMParser().parseFromString(text, "text/html"));
    body = text;
    return true;
  }

  /** @param {Document} fresh */
  function show(fresh) {
    // Another tab has switched to another organization.
    const shown = document.body.dataset.organization;
    if (fresh.body.dataset.organization !== shown) return location.reload();
    for (const region of document.querySelectorAll("[data-region][id]")) {
      const wanted = fresh.getElementById(region.id);
      if (wanted) morph(region, wanted);
    }
    const watch = fresh.body.dataset.watch ?? "";
    if (watch === (document.body.dataset.watch ?? "")) return;
    document.body.dataset.watch = watch;
    close();
    open();
  }

  // Morphing: what is the same stays the same node, with its focus, selection and half-typed text.

  const touched = new WeakSet();
  addEventListener("input", (event) => event.target && touched.add(event.target), true);

  const key = (/** @type {any} */ node) => node.id || node.dataset?.key || "";
  const hasFocus = (/** @type {Node} */ node) => node.contains(document.activeElement);

  /** @param {Node} old @param {Node} fresh */
  function morph(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old instanceof Element && fresh instanceof Element) {
      const isInUse = touched.has(old) || old === document.activeElement;
      const isTheirs = isInUse && old.matches("input, select, textarea");
      syncAttributes(old, fresh, isTheirs ? ["open", "value", "checked"] : ["open"]);
      if (!isTheirs) morphChildren(old, fresh);
    } else if (old.nodeValue !== fresh.nodeValue) {
      const holder = old.parentElement?.classList;
      if (/\d/.test(old.nodeValue ?? "") && /\d/.test(fresh.nodeValue ?? "")) holder?.add("moved");
      setTimeout(() => holder?.remove("moved"), MOVED_MS);
      old.nodeValue = fresh.nodeValue;
    }
  }

  /** @param {Element} old @param {Element} fresh @param {string[]} kept */
  function syncAttributes(old, fresh, kept) {
    for (const { namespaceURI, name, value } of fresh.attributes) {
      if (old.getAttribute(name) === value || kept.includes(name)) continue;
      old.setAttributeNS(namespaceURI, name, value);
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !kept.includes(name)) old.removeAttribute(name);
    }
  }

  /** @param {Element} old @param {Element} fresh */
  function morphChildren(old, fresh) {
    const keys = new Set([...fresh.children].map(key));
    const left = new Map([...old.children].filter(key).map((child) => [key(child), child]));
    for (const [name, child] of left) if (!keys.has(name)) child.remove();
    let cursor = old.firstChild;
    for (const wanted of [...fresh.childNodes]) {
      const found = key(wanted) ? left.get(key(wanted)) : next(cursor, wanted);
      left.delete(key(wanted));
      if (!found || found.nodeName !== wanted.nodeName) {
        old.insertBefore(document.importNode(wanted, true), cursor);
        continue;
      }
      for (let after; cursor && cursor !== found; cursor = after) {
        after = cursor.nextSibling;
        if (!key(cursor) && !hasFocus(cursor)) cursor.remove();
        else if (hasFocus(found)) old.append(cursor); // who has the focus is not moved
        else break;
      }
      if (cursor === found) cursor = found.nextSibling;
      else old.insertBefore(found, cursor);
      morph(found, wanted);
    }
    // What is left over, from the last one back to the cursor.
    for (let last; cursor && last !== cursor; last?.remove()) last = old.lastChild;
  }

  /** The next of its kind, with no key in between. @param {any} at @param {Node} wanted */
  function next(at, wanted) {
    while (at && !key(at) && at.nodeName !== wanted.nodeName && !hasFocus(at)) at = at.nextSibling;
    return at && !key(at) && at.nodeName === wanted.nodeName ? at : null;
  }

  // What no record tells of is looked at now and then.
  if (every) setInterval(refresh, every * 1000);

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return open();
    if (source) sayStale(); // until it is heard from again
    return close();
  });
  addEventListener("pagehide", close);
  // What the browser kept of a page may be of before a sign-out.
  addEventListener("pageshow", (event) => (event.persisted ? location.reload() : open()));
})();
