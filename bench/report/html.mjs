export function renderHtml() {
  return '';
}
