// Sign the statement on this page with a passkey (components/sign.html).
//
// The challenge is SHA-256 of the statement's DSSE pre-authentication encoding. It is computed here
// from the statement itself, so that what is signed is what this page has shown, and compared with
// what the server says; sites check the signature again, over the same bytes.
import { decode, encode } from "./base64url.js";

const form = document.querySelector("form[data-sign-passkey]");
if (form && window.PublicKeyCredential) {
  const button = form.querySelector("button");
  button.hidden = false;
  button.addEventListener("click", () => sign(form, button));
}

async function sign(form, button) {
  const asked = JSON.parse(document.getElementById("statement-request").textContent);
  const problem = form.querySelector("[role=alert]");
  problem.hidden = true;
  button.disabled = true;
  try {
    const challenge = await challengeOf(asked.unsigned);
    if (encode(challenge) !== asked.challenge) {
      throw new Error("The statement and its challenge do not fit together. Do not sign; tell your auditor.");
    }
    const credential = await navigator.credentials.get({
      publicKey: {
        challenge,
        rpId: asked.relying_party,
        allowCredentials: asked.credentials.map((id) => ({ type: "public-key", id: decode(id) })),
        userVerification: "required",
        timeout: 120000,
      },
    });
    form.elements.unsigned.value = JSON.stringify(asked.unsigned);
    form.elements.credential.value = JSON.stringify(asJson(credential));
    form.submit();
  } catch (error) {
    problem.textContent = error.name === "NotAllowedError"
      ? "Nothing was signed: the request was cancelled, timed out, or this device has none of your passkeys."
      : `Nothing was signed: ${error.message}`;
    problem.hidden = false;
    button.disabled = false;
  }
}

// SHA-256("DSSEv1" SP LEN(type) SP type SP LEN(body) SP body), lengths in decimal.
async function challengeOf(envelope) {
  const type = new TextEncoder().encode(envelope.payloadType);
  const body = Uint8Array.from(atob(envelope.payload), (character) => character.charCodeAt(0));
  const head = new TextEncoder().encode(`DSSEv1 ${type.length} ${envelope.payloadType} ${body.length} `);
  const message = new Uint8Array(head.length + body.length);
  message.set(head);
  message.set(body, head.length);
  return crypto.subtle.digest("SHA-256", message);
}

function asJson(credential) {
  const { authenticatorData, clientDataJSON, signature } = credential.response;
  return {
    id: credential.id,
    type: credential.type,
    response: {
      authenticatorData: encode(authenticatorData),
      clientDataJSON: encode(clientDataJSON),
      signature: encode(signature),
    },
  };
}
