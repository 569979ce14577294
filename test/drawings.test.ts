/** The drawings of `docs/drawings` are what the script draws, can be read, and stand on a page. */

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Bounds } from '../scripts/drawings/figures.mjs'
import { figures } from '../scripts/drawings/figures.mjs'

const holds = (outer: Bounds, inner: Bounds) =>
  outer.left <= inner.left &&
  inner.right <= outer.right &&
  outer.top <= inner.top &&
  inner.bottom <= outer.bottom

const overlap = (one: Bounds, other: Bounds) =>
  one.left < other.right &&
  other.left < one.right &&
  one.top < other.bottom &&
  other.top < one.bottom

test('the folder has each drawing and nothing else', () => {
  expect(readdirSync('docs/drawings').sort()).toEqual(
    Object.keys(figures)
      .map((name) => `${name}.svg`)
      .sort(),
  )
})

describe.each(Object.entries(figures))('the drawing %s', (name, draw) => {
  const { width, height, shapes, svg } = draw()
  const words = shapes.flatMap(({ text, bounds, within }) =>
    text === undefined || bounds === undefined ? [] : [{ text, bounds, within }],
  )

  test('is in its file as the script draws it', () => {
    expect(readFileSync(`docs/drawings/${name}.svg`, 'utf8')).toBe(svg)
  })

  test('has all words inside their boxes and inside the drawing, in a wide font too', () => {
    for (const { text, bounds, within } of words) {
      expect(holds({ left: 0, right: width, top: 0, bottom: height }, bounds), text).toBe(true)
      if (within !== undefined) expect(holds(within, bounds), text).toBe(true)
    }
  })

  test('has no words over other words', () => {
    for (const [index, one] of words.entries()) {
      for (const other of words.slice(index + 1)) {
        expect(overlap(one.bounds, other.bounds), `${one.text} | ${other.text}`).toBe(false)
      }
    }
  })

  test('has a colour for a dark page for each of its classes', () => {
    const [light = '', dark = ''] = svg.split('@media (prefers-color-scheme: dark)')
    const names = new Set(
      [...svg.matchAll(/class="([^"]+)"/g)].flatMap(([, list = '']) => list.split(' ')),
    )
    for (const className of names) {
      expect(light, className).toContain(`.${className} {`)
      if (!/^(bold|middle|end|box|held)$/.test(className))
        expect(dark, className).toContain(`.${className} {`)
    }
  })

  test('stands on a page, with words for readers who do not see it', () => {
    const pages = [
      'README.md',
      'ARCHITECTURE.md',
      ...readdirSync('docs').map((file) => `docs/${file}`),
    ]
    const shown = pages
      .filter((path) => path.endsWith('.md'))
      .some((path) =>
        new RegExp(`!\\[[^\\]]{5,}\\]\\([^)]*drawings/${name}\\.svg\\)`).test(
          readFileSync(path, 'utf8'),
        ),
      )
    expect(shown).toBe(true)
    expect(svg).toMatch(/<title>[^<]{10,}<\/title>/)
  })
})
