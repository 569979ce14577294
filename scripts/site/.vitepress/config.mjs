/** The site: the pages of the repository as they are, and a page for each exported name. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'
import { sectionsOf } from '../pages-list.mjs'

const root = fileURLToPath(new URL('../../../', import.meta.url))

/** The sections of docs/README.md with their links: the site has the order of that page. */
const sections = () =>
  sectionsOf(readFileSync(`${root}docs/README.md`, 'utf8')).map(({ title, links }, at) => ({
    text: title,
    collapsed: at > 1,
    items: links.map(({ text, path }) => ({ text, link: `/${path.replace(/\.md$/, '')}` })),
  }))

/** The anchor of a heading, as the repository's pages have it. */
const githubs = (text) =>
  text
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-')

/** The pages of one kind of exported thing, as TypeDoc has named the folders. */
const pagesOfApi = () =>
  readdirSync(`${root}scripts/site/pages/api`, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({ text: name, link: `/api/${name}/` }))

export default defineConfig({
  title: 'Keelson',
  description: 'Durable actors, workflows, queues and a store in one npm package',
  // Browsers ask for an icon where a page names none.
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  srcDir: 'pages',
  outDir: `${root}.tmp/site`,
  cacheDir: `${root}.tmp/site-cache`,
  // The commands print addresses of a reader's own machine.
  ignoreDeadLinks: [/^https?:\/\/(?:localhost|127\.0\.0\.1)/],
  markdown: { html: false, languageAlias: { mjs: 'js' }, anchor: { slugify: githubs } },
  vite: { build: { chunkSizeWarningLimit: 4_096 } },
  themeConfig: {
    nav: [
      { text: 'Getting started', link: '/docs/getting-started' },
      { text: 'API', link: '/api/' },
      { text: 'Changes', link: '/CHANGELOG' },
    ],
    sidebar: { '/api/': pagesOfApi(), '/': sections() },
    outline: [2, 3],
    search: { provider: 'local' },
  },
})
