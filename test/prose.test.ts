/** The English of comments and pages: turns of phrase that a plain sentence does not need. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { errorCodes } from '../src/errors.ts'
import { sourceFiles } from './support/source-files.ts'
import { textsOf } from './support/string-literals.ts'

const sources = sourceFiles('src')

/** Turns of phrase that a plain sentence does not need, and how many places still have each. Only lower them. */
const phrases: readonly (readonly [phrase: RegExp, placesMax: number])[] = [
  [/(?:^|[.:;] |\| )What (?![^.?|]*\?)/gm, 18],
  [/\bthose that\b/gi, 5],
  [/\ball that\b/gi, 4],
  [/\bbehind\b/gi, 19],
  [/\bof its own\b/gi, 2],
  [/\b(?:stands?|stood|standing)\b(?! (?:for|still)\b)/gi, 1],
  [/\bmeanwhile\b/gi, 3],
  [/\bunder way\b/gi, 2],
  [/\b(?:told|tells?|telling)\b/gi, 8],
  [/\banew\b/gi, 1],
]

/** Turns that readers stumble over, and what to write. No page, message or help text has them. */
const turns: readonly (readonly [turn: RegExp, write: string])[] = [
  [
    new RegExp(`\\b(?:is|are|be|was) (?:\`[A-Z][A-Z_]{3,}\`|(?:${errorCodes.join('|')})\\b)`, 'g'),
    'fails with',
  ],
  [/\b(?:go(?:es)?|went|going) on\b/g, 'continues, resumes, keeps working'],
  [
    /\balso (?:if|after|when|by|while|at|those|a|one|not)\b|, also\b/g,
    'even if, even after, including',
  ],
  [/\bbut for\b/g, 'except'],
  [/\bmend(?:s|ed|ing)?\b/g, 'fix'],
  [/\bcom(?:es|e|ing) about\b/g, 'happen'],
  [/\b(?:is|are|be|was|were|stays?) away\b/g, 'unreachable, down'],
  [/\b(?:gives?|gave|given) (?:the |its |some )?(?:log )?back\b/g, 'free, return'],
  [/\bthere (?:is|are) (?:not|none)\b/g, 'does not exist'],
  [/\bof now\b/g, 'current'],
  [/\ball the same\b|\blikewise\b/g, 'still, too'],
]

const pages = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'src/storage/FORMAT.md',
  ...readdirSync('docs', { recursive: true }).map((name) => `docs/${name}`),
].filter((path) => path.endsWith('.md'))

/** Their words are those of formats, and of the history: the phrases are not counted in them. */
const unreadForPhrases = ['SECURITY.md', 'CHANGELOG.md', 'src/storage/FORMAT.md']

/** A page without its code, on one line. */
const plainText = (path: string): string =>
  readFileSync(path, 'utf8')
    .replace(/^( *)```[\s\S]*?^\1```$/gm, '')
    .replace(/\s+/g, ' ')

/** The comments of the sources, and the pages without their code: each comment and each paragraph is a line. */
const prose = (): string => {
  const comments = sources.flatMap(({ text }) =>
    [...text.matchAll(/\/\*\*?([\s\S]*?)\*\/|((?:^ *\/\/.*\n)+)/gm)].map(([, block, lines]) =>
      (block ?? lines ?? '').replace(/\n? *(?:\*|\/\/) ?/g, ' ').trim(),
    ),
  )
  const paragraphs = pages
    .filter((path) => !unreadForPhrases.includes(path))
    .map((path) => readFileSync(path, 'utf8').replace(/```[\s\S]*?```/g, ''))
    .map((page) => page.replace(/`[^`\n]*`/g, '`…`').replace(/\n(?=[^\n])(?!\s*[-*|\d#])\s*/g, ' '))
  return [...comments, ...paragraphs].join('\n')
}

describe('comments and pages', () => {
  const text = prose()

  test.each(phrases)('have %s in fewer and fewer places', (phrase, placesMax) => {
    expect(text.match(phrase)?.length ?? 0).toBeLessThanOrEqual(placesMax)
  })
})

test.each(turns)('no page has %s: write %s', (turn) => {
  const found = pages.flatMap((path) => {
    const text = plainText(path)
    return [...text.matchAll(turn)].map(
      ({ index }) => `${path}: ${text.slice(Math.max(0, index - 40), index + 40)}`,
    )
  })
  expect(pages.length).toBeGreaterThan(100)
  expect(found).toEqual([])
})

/** The kind of a line of `keelson wal dump --json`, which programs read. */
const words = new Set(['given back'])

const texts = sources.flatMap((file) =>
  textsOf(file)
    .filter(({ text }) => !words.has(text))
    .map(({ line, text }) => ({ at: `${file.path}:${line}`, text })),
)

test.each(turns)('no message or help text has %s: write %s', (turn) => {
  expect(texts.length).toBeGreaterThan(4_000)
  expect(texts.filter(({ text }) => text.search(turn) !== -1)).toEqual([])
})
