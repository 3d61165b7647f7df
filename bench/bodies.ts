/** 1.2 kB of JSON, the size of one record of the APIs that the presets are for. */
export const smallBody = JSON.stringify({
  id: '280',
  type: 'Individual',
  name: 'Wendy Elizabeth Hernandez',
  first: 'Wendy',
  last: 'Hernandez',
  address: {
    type: 'Home',
    lines: ['410 17th Street', 'Suite 1600'],
    city: 'Denver',
    state: 'CO',
    postal_code: '80202',
  },
  email: { address: 'wendy@example.com', primary: true, inactive: false, do_not_email: false },
  gifts: Array.from({ length: 9 }, (_, index) => ({
    id: String(1000 + index),
    amount: 25.5 + index,
    date: '2026-01-02T00:00:00Z',
    fund: 'Annual',
  })),
  notes: '',
}).padEnd(1200, ' ')

export const largeBody = 10 * 1024 * 1024
