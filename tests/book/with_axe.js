// Three functions for a page that holds axe-core. Nothing is preloaded: a page
// opened from a file may not ask for its own style sheets.
({
  // Open what is folded, and leave one sample of each look in code: axe takes
  // seconds where a page has thousands of words in colour.
  prepare() {
    document.querySelectorAll("details").forEach((each) => { each.open = true; });
    const seen = new Set();
    for (const word of document.querySelectorAll("pre span, .sig span")) {
      if (word.children.length) continue;
      if (seen.has(word.className)) word.replaceWith(word.textContent);
      seen.add(word.className);
    }
    for (const formula of document.querySelectorAll("mjx-container"))
      formula.replaceChildren("x");
    document.body.normalize();
  },

  // Everything but contrast, which depends on the theme.
  structure() {
    const off = { enabled: false };
    // Landmarks are the theme's, and no more than moderate.
    const rules = { "color-contrast": off, region: off };
    return axe.run({ rules, resultTypes: ["violations"], preload: false });
  },

  // Contrast, of one element for each pair of ink and paper.
  contrast() {
    document.getAnimations().forEach((each) => each.finish());
    const papers = new Map(), samples = new Map();
    const paper = (element) => {
      if (!element) return "none";
      if (!papers.has(element)) {
        const own = getComputedStyle(element).backgroundColor;
        const clear = own === "rgba(0, 0, 0, 0)";
        papers.set(element, clear ? paper(element.parentElement) : own);
      }
      return papers.get(element);
    };
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const element = texts.currentNode.parentElement;
      if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
      const { color, fontSize, fontWeight } = getComputedStyle(element);
      const look = [color, fontSize, fontWeight, paper(element)].join();
      if (!samples.has(look)) samples.set(look, element);
    }
    const options = { resultTypes: ["violations"], preload: false };
    options.runOnly = ["color-contrast"];
    return axe.run([...samples.values()], options);
  },
})
