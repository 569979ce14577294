/** The pages of the documentation that the installed package has: a list, a page in parts, a search. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { invalidArgument } from '../../errors.ts'
import { shortText } from '../text/shown-text.ts'

/** The pages, as tools ask for them. */
export type DocPages = {
  readonly list: () => readonly { readonly page: string; readonly title: string }[]
  /** @throws KeelsonError `INVALID_ARGUMENT` for a page that is none */
  readonly read: (page: string, from: number) => object
  /** @throws KeelsonError `INVALID_ARGUMENT` without a word */
  readonly search: (words: string) => object
}

/** The most characters of a part of a page, of a paragraph that was found, and the most of those. */
const partMax = 32_000
const paragraphMax = 600
const foundMax = 20

const besideDocs = ['README.md', 'CHANGELOG.md', 'SECURITY.md', 'ARCHITECTURE.md']

/** The pages of this package. Each is read when it is asked for. */
export const docPages = (): DocPages => {
  const folder = fileURLToPath(new URL('.', import.meta.resolve('keelson/package.json')))
  const inDocs = readdirSync(`${folder}docs`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name.replaceAll('\\', '/')}`)
  return pagesOf([...inDocs.sort(), ...besideDocs], (page) =>
    readFileSync(`${folder}${page}`, 'utf8'),
  )
}

/** Pages by their names, and how one is read. */
export const pagesOf = (names: readonly string[], textOf: (page: string) => string): DocPages => ({
  list: () => names.map((page) => ({ page, title: titleOf(textOf(page), page) })),
  read: (page, from) => {
    // Only a page of the list is read: another name could be any file of the machine.
    const name = names.find((each) => each === page || each === `docs/${page}`)
    if (name === undefined) throw invalidArgument('page', 'a page that docs_list has', page)
    const whole = textOf(name)
    const next = from + partMax
    return {
      page: name,
      text: whole.slice(from, next),
      ...(next < whole.length && { next }),
    }
  },
  search: (words) => {
    const sought = words.toLowerCase().split(/\s+/).filter(Boolean)
    if (sought.length === 0) throw invalidArgument('words', 'at least one word', words)
    const found = names.flatMap((page) => foundIn(page, textOf(page), sought))
    const best = found.toSorted((one, other) => other.weight - one.weight).slice(0, foundMax)
    return { count: found.length, found: best.map(({ weight: _, ...each }) => each) }
  },
})

const titleOf = (text: string, page: string): string => /^# (.+)$/m.exec(text)?.[1] ?? page

type Found = {
  readonly page: string
  readonly heading: string
  readonly text: string
  readonly weight: number
}

/** The paragraphs with all words. A word in the heading above one counts as in it, and more. */
const foundIn = (page: string, text: string, sought: readonly string[]): readonly Found[] => {
  const found: Found[] = []
  let heading = page
  for (const paragraph of text.split(/\n\s*\n/)) {
    const title = /^#+ (.+)$/m.exec(paragraph)?.[1]
    if (title !== undefined) heading = title
    const [here, above] = [paragraph.toLowerCase(), heading.toLowerCase()]
    if (!sought.every((each) => here.includes(each) || above.includes(each))) continue
    const inHeading = sought.filter((each) => above.includes(each)).length
    // A change is mostly described in its page too.
    const weight = inHeading + (page === 'CHANGELOG.md' ? -1 : 0)
    found.push({ page, heading, text: shortText(paragraph.trim(), paragraphMax), weight })
  }
  return found
}
