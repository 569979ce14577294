/** The address of a view in the page's fragment: `#/entity/order/17?lsn=42`. Pure. */

/** A view and what it looks at. */
export type Route = {
  readonly view: string
  readonly parts: readonly string[]
  readonly query: Readonly<Record<string, string>>
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The route that a fragment names: the overview if it names none. */
export const routeOf = (fragment: string): Route => {
  const [path = '', query = ''] = fragment.replace(/^#?\/?/, '').split('?')
  const [view = '', ...parts] = path.split('/').map(decoded)
  return { view: view || 'overview', parts, query: Object.fromEntries(new URLSearchParams(query)) }
}

/** The fragment of a route. A value that is `undefined` or empty is left out. */
export const addressOf = (
  view: string,
  parts: readonly (string | number)[] = [],
  query: Readonly<Record<string, string | number | undefined>> = {},
): string => {
  const path = [view, ...parts].map((part) => encodeURIComponent(part)).join('/')
  const asked = Object.entries(query).flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [[name, String(value)] as [string, string]],
  )
  const text = new URLSearchParams(asked).toString()
  return `#/${path}${text === '' ? '' : `?${text}`}`
}
