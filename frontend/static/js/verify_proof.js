// Check in this browser that an entry is in the log (audit/entry.html): its leaf hash, its place in
// the hash chain, the inclusion proof up to the checkpoint's root (RFC 6962), and the log's
// signature over the checkpoint. Nothing is asked of the server.
"use strict";

const data = document.getElementById("proof-document");
const button = document.querySelector("button[data-verify]");
if (data && button && window.crypto?.subtle) {
  button.hidden = false;
  button.addEventListener("click", () => verify(JSON.parse(data.textContent)));
}

async function verify(proof) {
  const list = document.querySelector("[data-checks]");
  list.replaceChildren();
  for (const [label, check] of CHECKS) {
    let found;
    try {
      found = await check(proof);
    } catch (error) {
      found = `could not be checked: ${error.message}`;
    }
    const item = document.createElement("li");
    item.className = found === true ? "good" : found === null ? "" : "bad";
    const outcome = found === true ? "holds" : found === null ? "not checked: this browser does not know Ed25519" : found || "does NOT hold";
    item.textContent = `${label}: ${outcome}`;
    list.append(item);
  }
}

const CHECKS = [
  ["The entry's bytes have this leaf hash", async (proof) =>
    hex(await leafHash(proof)) === proof.leaf_hash],
  ["The chain hash follows from the entry before it", async (proof) =>
    hex(await sha256(bytes(proof.previous), new TextEncoder().encode(proof.leaf))) === proof.chain_hash
    && JSON.parse(proof.leaf).previous === proof.previous
    && JSON.parse(proof.leaf).index === proof.index],
  ["The inclusion proof leads to the root hash", async (proof) =>
    hex(await rootFrom(proof)) === proof.root],
  ["The checkpoint states this root hash and size", async (proof) => {
    const [, size, root] = proof.note.split("\n");
    return Number(size) === proof.size && hex(fromBase64(root)) === proof.root;
  }],
  ["The log's key in the roster has signed the checkpoint", signedByLog],
];

// RFC 9162, section 2.1.3.2.
async function rootFrom({ index, size, path, ...proof }) {
  let position = index;
  let last = size - 1;
  let hash = await leafHash(proof);
  for (const sibling of path.map(bytes)) {
    if (last === 0) throw new Error("the proof is too long");
    if (position % 2 === 1 || position === last) {
      hash = await nodeHash(sibling, hash);
      while (position % 2 === 0 && position !== 0) {
        position /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      hash = await nodeHash(hash, sibling);
    }
    position = Math.floor(position / 2);
    last = Math.floor(last / 2);
  }
  if (last !== 0) throw new Error("the proof is too short");
  return hash;
}

// A signed note: text, empty line, signature lines "— name base64(key id || signature)".
async function signedByLog({ note, log_key: key }) {
  if (!key) throw new Error("no roster names the log's key");
  const [name, , ...material] = key.split("+");
  const publicKey = fromBase64(material.join("+")).slice(1);
  const end = note.indexOf("\n\n");
  const line = note.slice(end + 2).split("\n").find((text) => text.startsWith(`— ${name} `));
  if (!line) return false;
  let imported;
  try {
    imported = await crypto.subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
  } catch {
    return null;
  }
  const signature = fromBase64(line.split(" ")[2]).slice(4);
  return crypto.subtle.verify("Ed25519", imported, signature, new TextEncoder().encode(note.slice(0, end + 1)));
}

function leafHash({ leaf }) {
  return sha256(Uint8Array.of(0), new TextEncoder().encode(leaf));
}

function nodeHash(left, right) {
  return sha256(Uint8Array.of(1), left, right);
}

async function sha256(...parts) {
  const joined = new Uint8Array(await new Blob(parts).arrayBuffer());
  return new Uint8Array(await crypto.subtle.digest("SHA-256", joined));
}

function hex(buffer) {
  return Array.from(buffer, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function bytes(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
