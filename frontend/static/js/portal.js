// What every page may use: copy buttons, and focus on what went wrong. Pages work without it.
"use strict";

for (const button of document.querySelectorAll("button.copy")) {
  const digest = button.previousElementSibling;
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(digest.dataset.copy);
    const label = button.firstChild;
    label.textContent = "Copied";
    setTimeout(() => { label.textContent = "Copy"; }, 2000);
  });
}

document.querySelector("[data-focus]")?.focus();
