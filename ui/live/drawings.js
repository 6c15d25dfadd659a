// A person's drawings as small pictures by their labels, each with a button that removes it; see drawings.py.

const SVG = "http://www.w3.org/2000/svg";
const states = new WeakMap(); // parentElement → the data that are shown

export default function ({ parentElement, data, setTriggerValue }) {
  const box = parentElement.querySelector(".drawings");
  if (!box || !data) return;
  const state = JSON.stringify(data);
  if (states.get(parentElement) === state) return; // a picture under the pointer stays
  states.set(parentElement, state);
  box.replaceChildren();
  box.dataset.testid = "drawings";
  for (const { label, drawings } of data.groups) {
    const row = element("div", "drawings-row", box);
    element("h4", "drawings-label", row).textContent = label;
    for (const drawing of drawings) row.append(picture(drawing, label, data.side, setTriggerValue));
  }
}

function element(name, className, parent, attributes = {}) {
  const made = document.createElement(name);
  made.className = className;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent?.append(made);
  return made;
}

function picture({ id, strokes, test }, label, side, setTriggerValue) {
  const figure = element("figure", "drawings-one");
  figure.classList.toggle("drawings-test", test);
  figure.title = test ? `A ${label}, held out to judge by` : `A ${label}, to learn from`;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${side} ${side}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", figure.title);
  for (const stroke of strokes) {
    const path = document.createElementNS(SVG, "path");
    const points = stroke.length > 1 ? stroke : [...stroke, ...stroke]; // a dot is a line to itself
    path.setAttribute("d", "M" + points.map((point) => point.join(" ")).join("L"));
    svg.append(path);
  }
  figure.append(svg);
  const remove = element("button", "", figure, { type: "button", "aria-label": `Remove this ${label}` });
  remove.textContent = "×";
  remove.addEventListener("click", () => {
    figure.style.visibility = "hidden";
    setTriggerValue("removed", id);
  });
  return figure;
}
