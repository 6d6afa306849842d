"""The cases of csv-spectrum, the public suite of CSV files that readers get wrong (github.com/max-mapper/csv-spectrum).

Written anew here, each as the text of a file and the records that it holds.
"""

import pytest

from workers.core.reading import read_table

CASES = {
    "comma_in_quotes": (
        'first,last,address,city,zip\nJohn,Doe,120 any st.,"Anytown, WW",08123\n',
        [{"first": "John", "last": "Doe", "address": "120 any st.", "city": "Anytown, WW", "zip": "08123"}],
    ),
    "empty": ('a,b,c\n1,"",""\n2,3,4\n', [{"a": "1", "b": "", "c": ""}, {"a": "2", "b": "3", "c": "4"}]),
    "empty_crlf": ('a,b,c\r\n1,"",""\r\n2,3,4\r\n', [{"a": "1", "b": "", "c": ""}, {"a": "2", "b": "3", "c": "4"}]),
    "escaped_quotes": (
        'a,b\n1,"ha ""ha"" ha"\n3,4\n',
        [{"a": "1", "b": 'ha "ha" ha'}, {"a": "3", "b": "4"}],
    ),
    "json": (
        'key,val\n1,"{""type"": ""Point"", ""coordinates"": [102.0, 0.5]}"\n',
        [{"key": "1", "val": '{"type": "Point", "coordinates": [102.0, 0.5]}'}],
    ),
    "location_coordinates": (
        'Identifier,Location,Lat/Lon\n7,"Market St, San Francisco","(37.7849, -122.4094)"\n'
        '8,"Pier 39\nSan Francisco, CA","(37.8087, -122.4098)"\n',
        [
            {"Identifier": "7", "Location": "Market St, San Francisco", "Lat/Lon": "(37.7849, -122.4094)"},
            {"Identifier": "8", "Location": "Pier 39\nSan Francisco, CA", "Lat/Lon": "(37.8087, -122.4098)"},
        ],
    ),
    "newlines": (
        'a,b,c\n1,2,3\n"Once upon \na time",5,6\n7,8,9\n',
        [
            {"a": "1", "b": "2", "c": "3"},
            {"a": "Once upon \na time", "b": "5", "c": "6"},
            {"a": "7", "b": "8", "c": "9"},
        ],
    ),
    "newlines_crlf": (
        'a,b,c\r\n1,2,3\r\n"Once upon \r\na time",5,6\r\n7,8,9\r\n',
        [
            {"a": "1", "b": "2", "c": "3"},
            {"a": "Once upon \r\na time", "b": "5", "c": "6"},
            {"a": "7", "b": "8", "c": "9"},
        ],
    ),
    "quotes_and_newlines": (
        'a,b\n1,"ha \n""ha"" \nha"\n3,4\n',
        [{"a": "1", "b": 'ha \n"ha" \nha'}, {"a": "3", "b": "4"}],
    ),
    "simple": ("a,b,c\n1,2,3\n", [{"a": "1", "b": "2", "c": "3"}]),
    "simple_crlf": ("a,b,c\r\n1,2,3\r\n", [{"a": "1", "b": "2", "c": "3"}]),
    "utf8": (
        "a,b,c\n1,2,3\n4,5,ʤ\n",
        [{"a": "1", "b": "2", "c": "3"}, {"a": "4", "b": "5", "c": "ʤ"}],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_case_gives_its_records(write, case):
    """Quoted delimiters, quotes, line ends and letters come out as the suite expects, and nothing is repaired."""
    text, records = CASES[case]
    table = read_table(write(text))
    assert table.frame.to_dicts() == records
    assert table.repairs == ()
