// Search, filter and page the samples. Without it, all of them are shown.
(() => {
  const PAGE = 20;
  const all = [...document.querySelectorAll("details.sample")];
  const [search, kind, before, after, where] = ["search", "kind", "before", "after", "where"].map((id) => document.getElementById(id));
  const texts = all.map((sample) => sample.textContent.toLowerCase());
  let page = 0;
  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = all.filter((sample, i) => (!kind.value || sample.dataset.kinds.split(" ").includes(kind.value)) && words.every((word) => texts[i].includes(word)));
    const pages = Math.max(1, Math.ceil(hits.length / PAGE));
    page = Math.min(page, pages - 1);
    const shown = new Set(hits.slice(page * PAGE, (page + 1) * PAGE));
    for (const sample of all) sample.hidden = !shown.has(sample);
    where.textContent = `${hits.length} of ${all.length} · page ${page + 1} of ${pages}`;
    before.disabled = page === 0;
    after.disabled = page >= pages - 1;
  };
  search.addEventListener("input", () => { page = 0; show(); });
  kind.addEventListener("change", () => { page = 0; show(); });
  before.addEventListener("click", () => { page -= 1; show(); });
  after.addEventListener("click", () => { page += 1; show(); });
  document.getElementById("tools").hidden = false;
  show();
})();
