for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => row.cells[at].dataset.sort ?? row.cells[at].textContent;
      const order = (a, b) => {
        const [x, y] = [value(a), value(b)];
        // What is no number comes last, whichever way.
        if (x === "NaN" || y === "NaN") return (x === "NaN") - (y === "NaN");
        const plain = x !== "" && y !== "" && !isNaN(x) && !isNaN(y) ? x - y : x.localeCompare(y);
        return up ? plain : -plain;
      };
      const rows = [...body.rows].sort(order);
      body.append(...rows);
    });
  });
}
