// Keep the part of a page marked data-live up to date: the portal hints over a websocket that
// something has changed, and the page is fetched anew. What it may show, the server decides.
const WAIT_AFTER_HINT_MS = 250;
const POLL_ACTIVE_MS = 2500;
const POLL_QUIET_MS = 30000;
const RECONNECT_MS = [1000, 2000, 5000, 15000, 30000];

const live = () => document.getElementById("live");
let failures = 0;
let pending = null;

function refreshSoon() {
  pending ??= setTimeout(refresh, WAIT_AFTER_HINT_MS);
}

async function refresh() {
  pending = null;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
    if (fresh && withoutTokens(fresh) !== withoutTokens(live()) && !isTyping()) replace(fresh);
  } catch {
    // The network is away; the next hint or poll tries again.
  }
}

// A form's token differs on every fetch and changes nothing that a person sees.
function withoutTokens(part) {
  const copy = part.cloneNode(true);
  copy.querySelectorAll("[name=csrfmiddlewaretoken]").forEach((token) => token.remove());
  return copy.innerHTML;
}

function isTyping() {
  return live().contains(document.activeElement) && document.activeElement.matches("input, textarea, select");
}

function replace(fresh) {
  const heading = live().querySelector("h2")?.textContent;
  const focused = [...live().querySelectorAll("a, button, summary, [tabindex]")].indexOf(document.activeElement);
  live().replaceWith(document.adoptNode(fresh));
  document.dispatchEvent(new Event("quorate:replaced"));
  live().querySelectorAll("a, button, summary, [tabindex]")[focused]?.focus();
  const now = live().querySelector("h2")?.textContent;
  if (now && now !== heading) announce(now);
}

// Said once by screen readers; everybody else sees the page change.
const teller = document.createElement("p");
teller.className = "visually-hidden";
teller.setAttribute("role", "status");
document.body.append(teller);
function announce(text) {
  teller.textContent = text;
}

function listen() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/ws/studies/${live().dataset.live}/`);
  socket.addEventListener("open", () => { failures = 0; refreshSoon(); });
  socket.addEventListener("message", refreshSoon);
  socket.addEventListener("close", () => {
    setTimeout(listen, RECONNECT_MS[Math.min(failures, RECONNECT_MS.length - 1)]);
    failures += 1;
  });
}

// Hints can be lost, so the page also looks for itself: often while something is under way.
function poll() {
  const wait = live().hasAttribute("data-active") ? POLL_ACTIVE_MS : POLL_QUIET_MS;
  setTimeout(async () => {
    if (!document.hidden) await refresh();
    poll();
  }, wait);
}

if (live()) {
  listen();
  poll();
}
