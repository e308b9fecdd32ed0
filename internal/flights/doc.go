// Package flights has the input of the demo and of the flights example: 20,000
// real domestic flights in the United States, January to March 2001, in order
// of departure.
//
// Source: US Bureau of Transportation Statistics, on-time performance data
// (public domain), as sampled in the data package vega-datasets 3.2.1.
package flights
