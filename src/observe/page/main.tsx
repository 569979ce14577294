/** The start of the page of `keelson observe`. */
import { render } from 'preact'

const place = document.getElementById('page')
if (place) render(<h1>keelson</h1>, place)
