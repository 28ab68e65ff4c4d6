// Help while a plan is written: count the noise along, and show of each criterion only the fields
// that its kind has. The form works without this script.
const form = document.querySelector("form[data-plan-form]");
const PARTS = {
  "": [],
  condition_occurrence: ["concepts"],
  drug_era: ["concepts"],
  gender: ["concepts"],
  between: ["column", "at_least", "at_most"],
  equals: ["column", "equals"],
};

for (const row of form.querySelectorAll("[data-criterion]")) {
  const kind = row.querySelector("[data-part=kind] select");
  const show = () => {
    for (const part of row.querySelectorAll("[data-part]")) {
      const name = part.dataset.part;
      part.hidden = !["use", "kind", ...PARTS[kind.value]].includes(name);
    }
  };
  kind.addEventListener("change", show);
  show();
}

// Another class needs other parameters: the button does it without this script.
form.elements.computation_class.addEventListener("change", () => {
  form.querySelector("button[name=step][value=class]").click();
});

const table = form.querySelector("[data-noise-table]");
let waiting = null;
form.addEventListener("input", (event) => {
  if (!["epsilon", "sites", "max_sites_per_person"].includes(event.target.name)) return;
  clearTimeout(waiting);
  waiting = setTimeout(countNoise, 300);
});

async function countNoise() {
  const query = new URLSearchParams({
    class: form.dataset.class,
    epsilon: form.elements.epsilon.value,
    sites: form.querySelectorAll("[name=sites]:checked").length,
    max_sites_per_person: form.elements.max_sites_per_person.value,
  });
  const answer = await fetch(`${form.dataset.noise}?${query}`);
  if (answer.ok && !answer.redirected) {
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body;
    table.replaceChildren(...fresh.children);
  }
}
