// Register a passkey (accounts/account.html): ask the portal for options, let the device make the
// key, send the answer back as an ordinary form.
import { decode, encode } from "./base64url.js";

const form = document.querySelector("form[data-passkey]");
if (form && window.PublicKeyCredential) {
  const button = form.querySelector("button");
  button.disabled = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    register(form, button);
  });
}

async function register(form, button) {
  const problem = form.querySelector("[role=alert]");
  problem.hidden = true;
  button.disabled = true;
  try {
    const answer = await fetch(form.dataset.begin, {
      method: "POST",
      headers: { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
    });
    if (!answer.ok) throw new Error("the portal did not answer; sign in again");
    const { options, state } = await answer.json();
    const credential = await navigator.credentials.create({ publicKey: asOptions(options) });
    form.elements.state.value = state;
    form.elements.credential.value = JSON.stringify(asJson(credential));
    form.submit();
  } catch (error) {
    problem.textContent = error.name === "NotAllowedError"
      ? "No passkey was made: the request was cancelled or timed out."
      : error.name === "InvalidStateError"
        ? "This device has a passkey for you already."
        : `No passkey was made: ${error.message}`;
    problem.hidden = false;
    button.disabled = false;
  }
}

function asOptions(options) {
  return {
    ...options,
    challenge: decode(options.challenge),
    user: { ...options.user, id: decode(options.user.id) },
    excludeCredentials: (options.excludeCredentials ?? []).map((known) => ({ ...known, id: decode(known.id) })),
  };
}

function asJson(credential) {
  return {
    id: credential.id,
    rawId: encode(credential.rawId),
    type: credential.type,
    response: {
      attestationObject: encode(credential.response.attestationObject),
      clientDataJSON: encode(credential.response.clientDataJSON),
    },
  };
}
