/**
 * The one door of the page to the browser: its timers, its address and what it keeps for a tab. The page
 * runs in a browser, where no System and so no clock of one is.
 */

/** Calls `work` once after `ms`. Returns a function that cancels it. */
export const after = (ms: number, work: () => void): (() => void) => {
  const timer = setTimeout(work, ms)
  return () => clearTimeout(timer)
}

/** Calls `listener` on each event of this name. Returns a function that ends this. */
export const on = (
  target: EventTarget,
  name: string,
  listener: (event: Event) => void,
): (() => void) => {
  target.addEventListener(name, listener)
  return () => target.removeEventListener(name, listener)
}

/** The text that this tab keeps under a name. */
export const kept = (name: string): string | undefined => sessionStorage.getItem(name) ?? undefined

/** Keeps a text for this tab, until the tab is closed. */
export const keep = (name: string, text: string): void => sessionStorage.setItem(name, text)
