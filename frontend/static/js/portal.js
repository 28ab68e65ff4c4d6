// What every page may use: copy buttons, and focus on what went wrong. Pages work without it.
"use strict";

// live.js says when it has put a newer part into the page.
function showCopyButtons() {
  for (const button of document.querySelectorAll("button.copy")) button.hidden = !navigator.clipboard;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  await navigator.clipboard.writeText(button.previousElementSibling.dataset.copy);
  const label = button.firstChild;
  label.textContent = "Copied";
  setTimeout(() => { label.textContent = "Copy"; }, 2000);
});

document.addEventListener("quorate:replaced", showCopyButtons);
showCopyButtons();
document.querySelector("[data-focus]")?.focus();
