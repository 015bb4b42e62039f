/** The vocabulary of the demo shop: departments with their categories, brands, and words for titles. */

export interface Department {
  readonly name: string;
  readonly categories: readonly string[];
}

export const DEPARTMENTS: readonly Department[] = [
  { name: 'Kitchen', categories: ['Kettles', 'Knives', 'Pans', 'Mugs', 'Graters'] },
  { name: 'Garden', categories: ['Seeds', 'Gloves', 'Planters', 'Secateurs', 'Lanterns'] },
  { name: 'Office', categories: ['Notebooks', 'Pens', 'Folders', 'Desk Lamps', 'Staplers'] },
  { name: 'Outdoor', categories: ['Tents', 'Headlamps', 'Flasks', 'Backpacks', 'Ropes'] },
  { name: 'Bath', categories: ['Soaps', 'Towels', 'Brushes', 'Mirrors', 'Candles'] },
  { name: 'Music', categories: ['Strings', 'Capos', 'Tuners', 'Drumsticks', 'Cables'] },
  { name: 'Toys', categories: ['Puzzles', 'Kites', 'Blocks', 'Marbles', 'Yo-Yos'] },
  { name: 'Cycling', categories: ['Helmets', 'Pumps', 'Bells', 'Saddles', 'Bike Lights'] },
];

export const BRANDS: readonly string[] = [
  'Alder & Co',
  'Bramble',
  'Castor',
  'Dovetail',
  'Everline',
  'Fennel',
  'Gantry',
  'Harrow',
  'Inkwell',
  'Juniper',
  'Kestrel',
  'Larkspur',
  'Marlow',
  'Northway',
  'Osprey Lane',
  'Pebble',
  'Quill',
  'Rowan',
  'Saltbox',
  'Tamarack',
  'Umber',
  'Verity',
  'Wexford',
  'Yarrow',
];

export const MATERIALS: readonly string[] = [
  'Oak',
  'Copper',
  'Linen',
  'Slate',
  'Cork',
  'Enamel',
  'Walnut',
  'Steel',
  'Bamboo',
  'Ceramic',
  'Canvas',
  'Brass',
];

export const STYLES: readonly string[] = [
  'Classic',
  'Compact',
  'Travel',
  'Deluxe',
  'Everyday',
  'Heritage',
  'Folding',
  'Studio',
  'Weekend',
  'Original',
];
