// A picture from the clipboard goes to the file uploader that is on the page, as if it had been chosen there.
const INPUT = "[data-testid='stFileUploader'] input[type='file']";

export default function () {
  const take = (event) => {
    const input = document.querySelector(INPUT);
    const file = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
    if (!input || !file) return;
    event.preventDefault();
    const chosen = new DataTransfer();
    chosen.items.add(file);
    input.files = chosen.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };
  window.addEventListener("paste", take, true);
  return () => window.removeEventListener("paste", take, true);
}
