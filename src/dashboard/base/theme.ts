/**
 * Light, dark, or as the system has it. In the browser.
 *
 * Always true: `data-theme` of the document is what was chosen, and absent for the system's; `first-paint.js` sets it from
 * the same storage before the first paint. `isDark` follows both, for what CSS cannot reach: the canvas of charts.
 */
import { computed, effect, signal } from '@preact/signals';

/** What a person may choose. */
export type Theme = 'system' | 'light' | 'dark';

const storageKey = 'sluice.theme';
const system = matchMedia('(prefers-color-scheme: dark)');
const systemIsDark = signal(system.matches);
system.addEventListener('change', () => {
  systemIsDark.value = system.matches;
});

/** The choice. */
export const theme = signal<Theme>(read());
/** What is shown. */
export const isDark = computed(() =>
  theme.value === 'system' ? systemIsDark.value : theme.value === 'dark',
);

effect(() => {
  if (theme.value === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme.value;
  try {
    if (theme.value === 'system') localStorage.removeItem(storageKey);
    else localStorage.setItem(storageKey, theme.value);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
});

function read(): Theme {
  const chosen = document.documentElement.dataset['theme'];
  return chosen === 'light' || chosen === 'dark' ? chosen : 'system';
}
