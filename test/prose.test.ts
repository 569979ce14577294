/** The English of comments and pages: turns of phrase that a plain sentence does not need. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { sourceFiles } from './support/source-files.ts'

const sources = sourceFiles('src')

/** Turns of phrase that a plain sentence does not need, and how many places still have each. Only lower them. */
const phrases: readonly (readonly [phrase: RegExp, placesMax: number])[] = [
  [/(?:^|[.:;] |\| )What (?![^.?|]*\?)/gm, 18],
  [/\bthose that\b/gi, 6],
  [/\ball that\b/gi, 4],
  [/\bbehind\b/gi, 28],
  [/\bof its own\b/gi, 3],
  [/\b(?:stands?|stood|standing)\b(?! (?:for|still)\b)/gi, 1],
  [/\bmeanwhile\b/gi, 6],
  [/\bunder way\b/gi, 2],
  [/\b(?:told|tells?|telling)\b/gi, 8],
  [/\banew\b/gi, 1],
]

/** The comments of the sources, and the pages without their code: each comment and each paragraph is a line. */
const prose = (): string => {
  const comments = sources.flatMap(({ text }) =>
    [...text.matchAll(/\/\*\*?([\s\S]*?)\*\/|((?:^ *\/\/.*\n)+)/gm)].map(([, block, lines]) =>
      (block ?? lines ?? '').replace(/\n? *(?:\*|\/\/) ?/g, ' ').trim(),
    ),
  )
  const pages = [
    'README.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    ...readdirSync('docs', { recursive: true }).map((name) => `docs/${name}`),
  ]
    .filter((path) => path.endsWith('.md'))
    .map((path) => readFileSync(path, 'utf8').replace(/```[\s\S]*?```/g, ''))
    .map((page) => page.replace(/`[^`\n]*`/g, '`…`').replace(/\n(?=[^\n])(?!\s*[-*|\d#])\s*/g, ' '))
  return [...comments, ...pages].join('\n')
}

describe('comments and pages', () => {
  const text = prose()

  test.each(phrases)('have %s in fewer and fewer places', (phrase, placesMax) => {
    expect(text.match(phrase)?.length ?? 0).toBeLessThanOrEqual(placesMax)
  })
})
